"""Follow our own deploy: see how it goes, keep its record up to date, deliver what is to be announced.

`watch` sees our own readiness, `tracker` keeps the record in step with it, and `courier` delivers; what
follows from what decides `core.deploy`. Each is a loop of its own, so that a store or a service that hangs
holds up neither of the others, nor a check, a probe or the end.
"""

from sidecar.deploys.tracking.surroundings import Surroundings
from sidecar.deploys.tracking.tracking import Tracking, new_tracking
from sidecar.deploys.tracking.watch import Watch

__all__ = ["Surroundings", "Tracking", "Watch", "new_tracking"]
