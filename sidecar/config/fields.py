"""What a key of the configuration may hold: each name is a Python type, and the kind that reads it.

`interval: Duration` is a `float` whose text must carry a unit.
"""

import re
from typing import Annotated, Final

from sidecar.config.kinds.host import HostKind
from sidecar.config.kinds.number import DurationKind, IntegerKind, SwitchableKind
from sidecar.config.kinds.secret import Secret, SecretKind
from sidecar.config.kinds.text import FilePathKind, PatternKind, RegexKind, TextKind

Text = Annotated[str, TextKind()]
"""A text that may hold a secret from outside: a header's value, a word of a command."""
Label = Annotated[str, TextKind(is_public=True)]
"""A text that may be shown to anybody: a bucket, a region, a description."""
Identity = Annotated[str, TextKind(is_public=True, may_be_blank=False)]
"""A text that tells one thing from another, and may be shown to anybody: a service, an environment."""
SecretText = Annotated[Secret, SecretKind()]
Regex = Annotated[re.Pattern[str], RegexKind()]
Duration = Annotated[float, DurationKind()]
Span = Annotated[float, DurationKind(at_least=0.05)]
"""A duration that cannot be nothing: an interval, a deadline."""
SwitchableSpan = Annotated[float | None, SwitchableKind(DurationKind(at_least=0.05))]
Count = Annotated[int, IntegerKind(at_least=1, at_most=1000)]
ConnectionLimit = Annotated[int, IntegerKind(at_least=16, at_most=65536)]
ByteLimit = Annotated[int, IntegerKind(at_least=4096, at_most=1048576)]
Port = Annotated[int, IntegerKind(at_least=1, at_most=65535)]
NAME: Final = PatternKind(
    r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?",
    "a DNS label; write at most 63 lower-case letters, digits and dashes, such as 'session-store'",
)
Name = Annotated[str, NAME]
Host = Annotated[str, HostKind()]
REVISION_LIMIT: Final = 200
"""Characters."""
Revision = Annotated[
    str,
    PatternKind(
        rf"[!-~]{{1,{REVISION_LIMIT}}}",
        f"a revision; write at most {REVISION_LIMIT} letters, digits and signs, without blanks",
    ),
]
"""What a header and a metric's label can carry: a git SHA, an image's tag."""
FilePath = Annotated[str, FilePathKind()]
"""The absolute path of a file; a reload watches the files that a configuration names."""
OutputPath = Annotated[str, PatternKind(r"/.+", "an absolute path; write one that begins with a slash")]
"""The absolute path of a file that we write; no reload watches it."""
