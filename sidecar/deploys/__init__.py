"""Tell the team: which deploy went live or failed to, once, with the reason.

One service per file; the file's name, with dashes for underscores, is the `type:`. Files that begin with an
underscore are what several services share. `tracking` follows our own deploy and delivers what is to be
announced, `claims` make one deploy out of many processes. Nothing that answers a probe or runs a check waits
for any of it.
"""

from sidecar.deploys._types import InstalledServices

__all__ = ["InstalledServices"]
