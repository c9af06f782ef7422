"""Ask: one kind of dependency per file; the file's name, with dashes for underscores, is the `type:`.

A file holds the type's documentation, its configuration and its check. It does not time, retry, log, count or
catch `Exception`: the runner does. Third parties add types through the entry-point group `sidecar.checks`.
Files that begin with an underscore are what several askers share.
"""

from sidecar.checks._types import InstalledTypes

__all__ = ["InstalledTypes"]
