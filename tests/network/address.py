"""Where something listens."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Address:
    """A host and a port; as text, the way a URL has them."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
