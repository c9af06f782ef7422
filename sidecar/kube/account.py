"""Our pod's service account: the token that proves us, and the authority that proves the cluster's API.

The kubelet renews the token about once an hour and swaps the files under us: they are read for each request.
"""

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from sidecar.config.interpolate import read_secret_file
from sidecar.kube.errors import ApiError
from sidecar.support.tls import tls_context


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one request is made with."""

    token: str = field(repr=False)
    context: ssl.SSLContext


def read_credentials(folder: Path) -> Credentials:
    """Return what the files of a service account hold now; blocks.

    Raises:
        ApiError: a file is missing, or holds something else.
    """
    return Credentials(_read_token(folder / "token"), _trust(folder / "ca.crt"))


def _read_token(path: Path) -> str:
    try:
        token = read_secret_file(path).decode("ascii").strip()
    except OSError as error:
        raise _unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise ApiError(f"{path} holds no token") from error
    if not token or not token.isprintable():
        raise ApiError(f"{path} holds no token")
    return token


def _trust(path: Path) -> ssl.SSLContext:
    try:
        return tls_context(ca=str(path))
    except ssl.SSLError as error:
        raise ApiError(f"{path} holds no certificate") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> ApiError:
    return ApiError(f"{path} cannot be read: {(error.strerror or 'unreadable').lower()}")
