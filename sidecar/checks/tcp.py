"""Opens a TCP connection, and with a `tls:` block completes the TLS handshake.

Down means that nothing accepts connections there. A listener whose process hangs still accepts them, and a
mesh's proxy accepts all of them: a check that speaks the dependency's protocol proves more. A certificate
that ends within `expires_within` is a warning. That the server refuses our own certificate shows here only up
to TLS 1.2: in 1.3 it says so after the handshake.

Permissions: none.
Reasons that waiting does not cure: tls.

```yaml
- name: mail
  type: tcp
  host: smtp.example.com
  port: 465
  tls: {}
  gates: startup
```
"""

import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

from sidecar.checks._connect import client_tls, close_now, connection_failures, open_connection, open_socket
from sidecar.config.check import CheckConfig, CheckType, TlsConfig, option
from sidecar.config.fields import Host, Port
from sidecar.config.kinds.number import DurationKind
from sidecar.config.problems import Mistake
from sidecar.core.check import Reason
from sidecar.support.net import show_address

DAY: Final = 24 * 3600.0


@dataclass(frozen=True, kw_only=True, repr=False)
class TcpConfig(CheckConfig):
    """Where to connect."""

    host: Host = option("Host name or IP address.")
    port: Port = option("Port.")
    tls: TlsConfig | None = option(
        "Complete a TLS handshake too, with these settings; {} for plain ones.", default=None
    )
    expires_within: Annotated[float, DurationKind(at_most=365 * DAY)] | None = option(
        "With tls: warn when the server's certificate ends this soon; 336h if left out.", default=None
    )

    @property
    def target(self) -> str:
        """The address."""
        return show_address(self.host, self.port)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The host."""
        return (self.host,)

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys."""
        yield from super().rules()
        if self.expires_within is not None and self.tls is None:
            yield Mistake(
                "needs the key tls beside it: without TLS there is no certificate", key="expires_within"
            )


class TcpCheck:
    """Connects anew each run, as the kubelet does: a kept connection hides a dead listener."""

    def __init__(self, config: TcpConfig) -> None:
        self.connections_opened = 0
        self._config = config
        self._context: ssl.SSLContext | None = None

    async def run(self) -> str | None:
        """Connect, and look at the certificate where there is one."""
        with connection_failures(self._config.target):
            if self._config.tls is not None:
                return await self._look_at_certificate(self._config.tls)
            (await open_socket(self._config.host, self._config.port)).close()
        self.connections_opened += 1
        return None

    async def aclose(self) -> None:
        """Hold nothing."""

    async def _look_at_certificate(self, tls: TlsConfig) -> str | None:
        if self._context is None:
            self._context = await client_tls(tls)
        _, writer = await open_connection(
            self._config.host,
            self._config.port,
            ssl=self._context,
            server_hostname=tls.server_name or self._config.host,
        )
        self.connections_opened += 1
        try:
            return self._expiry_warning(writer.get_extra_info("peercert"))
        finally:
            close_now(writer)

    def _expiry_warning(self, certificate: dict[str, str] | None) -> str | None:
        if not certificate:
            return None
        days = (ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()) / DAY
        limit = 14 * DAY if self._config.expires_within is None else self._config.expires_within
        return f"the certificate ends in {days:.1f} days" if days * DAY < limit else None


check_type = CheckType(config=TcpConfig, build=TcpCheck, permanent=frozenset({Reason.TLS}))
