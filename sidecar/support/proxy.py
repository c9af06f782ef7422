"""Which HTTP proxy the environment prescribes: `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`."""

import ipaddress
from urllib.request import getproxies_environment

from sidecar.support.net import is_literal, is_loopback, show_address


def proxy_for(scheme: str, host: str, port: int | None) -> str | None:
    """Return the URL of the proxy towards a host; None where it is asked directly, as loopback always is.

    The variables count in either case. `NO_PROXY` holds hosts, domains, addresses, networks such as
    `10.0.0.0/8`, each with a port if need be, or a star, with commas between.
    """
    if is_loopback(host):
        return None
    proxies = getproxies_environment()
    proxy = proxies.get(scheme)
    if not proxy or _is_exempt(host.lower(), port, proxies.get("no", "")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_exempt(host: str, port: int | None, no_proxy: str) -> bool:
    entries = [entry.strip().lower() for entry in no_proxy.split(",") if entry.strip()]
    if is_literal(host):
        return any(entry in ("*", show_address(host, port)) or _contains(entry, host) for entry in entries)
    names = (f".{host}", f".{host}:{port}")
    return any(entry == "*" or name.endswith(f".{entry.lstrip('.')}") for entry in entries for name in names)


def _contains(network: str, host: str) -> bool:
    """Whether an address is in a network, or is the very address."""
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network.strip("[]"), strict=False)
    except ValueError:
        return False
