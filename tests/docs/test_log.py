"""The page on the log names messages that are logged."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_message_on_the_page_is_one_that_is_logged() -> None:
    page = (ROOT / "docs/configuration.md").read_text().partition("\n## The log\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)
    messages = [message for cell in cells for message in re.findall(r"`([^`]+)`", cell)]
    code = "".join(path.read_text() for path in (ROOT / "sidecar").rglob("*.py"))

    missing = [each for each in messages if f'"{re.sub(" (up|down)$", " %s", each)}"' not in code]

    assert (len(messages) > 5, missing) == (True, [])
