"""No claim: the record is this process's own, so that every process announces, and again after a restart."""

from sidecar.core.deploy import Deploy, Record
from sidecar.deploys.claims.claim import Held


class MemoryClaim:
    """Keeps a record as long as the process lives."""

    def __init__(self, deploy: Deploy) -> None:
        self._deploy = deploy
        self._record: Record | None = None
        self._version = 0

    async def identify(self) -> Deploy:
        """Return the deploy as it is configured."""
        return self._deploy

    async def read(self) -> Held | None:
        """Return the record, if there is one."""
        return Held(self._record, str(self._version)) if self._record else None

    async def create(self, record: Record) -> bool:
        """Keep a record where there is none."""
        return self._record is None and self._keep(record)

    async def replace(self, record: Record, held: Held) -> bool:
        """Keep a record in the place of the one that was read."""
        return held.version == str(self._version) and self._keep(record)

    async def renew(self) -> None:
        """Keep it anyway."""

    def _keep(self, record: Record) -> bool:
        self._record = record
        self._version += 1
        return True
