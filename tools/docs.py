"""Writes what the documents repeat of the code, so that it is said once: `python -m tools.docs [--check]`.

That is the pages of the check types in `docs/checks` and of the services in `docs/services`, the schema of a
webhook's body, and in `docs/configuration.md` and `docs/deploys.md` what stands between `<!-- keys: NAME -->`
or `<!-- problems: NAME -->` and `<!-- end -->`. With `--check` nothing is written: what is not current is
named, and the exit code is 1.
"""

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sidecar.checks import InstalledTypes
from sidecar.config.check import CheckConfig, CheckType, TlsConfig
from sidecar.config.deploy import DeployConfig, ServiceType
from sidecar.config.model import Sections
from sidecar.config.reference import document_keys, document_type
from sidecar.deploys import InstalledServices, webhook

ROOT: Final = Path(__file__).parents[1]
PAGES: Final = ROOT / "docs" / "checks"
SERVICES: Final = ROOT / "docs" / "services"
ANNOUNCEMENT: Final = ROOT / "docs" / "announcement.schema.json"
CONFIGURATION: Final = ROOT / "docs" / "configuration.md"
DEPLOYS: Final = ROOT / "docs" / "deploys.md"
CORPUS: Final = ROOT / "tests" / "config" / "corpus"

KEYS: Final[Mapping[str, type[Any]]] = {
    "top": Sections,
    "check": CheckConfig,
    "tls": TlsConfig,
    "deploy": DeployConfig,
}
"""The tables in the pages."""

_MARKED: Final = re.compile(
    r"(<!-- (?P<what>keys|problems): (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL
)


def main() -> None:
    """Write every document, or say which are not current."""
    if "--check" in sys.argv[1:]:
        stale = not_current()
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not current: run `make docs`", file=sys.stderr)
        sys.exit(1 if stale else 0)
    write()


def write() -> None:
    """Bring every document up to date, and remove the pages of types that are gone."""
    PAGES.mkdir(exist_ok=True)
    SERVICES.mkdir(exist_ok=True)
    for path in not_current():
        text = documents().get(path)
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
        print(f"==> {path.relative_to(ROOT)}")


def not_current() -> list[Path]:
    """Return the documents that differ from what they should be, those that are too many included."""
    wanted = documents()
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    written = [*PAGES.glob("*.md"), *SERVICES.glob("*.md")]
    return sorted([*stale, *(path for path in written if path not in wanted)])


def documents() -> dict[Path, str]:
    """Return every document that repeats the code, as it should be."""
    types, services = own_types(), all_services()
    return {
        CONFIGURATION: _MARKED.sub(_renew, CONFIGURATION.read_text()),
        DEPLOYS: _MARKED.sub(_renew, DEPLOYS.read_text()),
        ANNOUNCEMENT: json.dumps(webhook.schema(), indent=2) + "\n",
        PAGES / "README.md": _index(types),
        **{PAGES / f"{name}.md": _page(name, found) for name, found in types.items()},
        SERVICES / "README.md": _index_of_services(services),
        **{SERVICES / f"{name}.md": _service_page(name, found) for name, found in services.items()},
    }


def own_types() -> dict[str, CheckType[Any]]:
    """Return our check types by name, without the plug-ins that may be installed."""
    types = InstalledTypes()
    found = {name: types.find(name) for name in types.names()}
    return {
        name: each
        for name, each in found.items()
        if each and each.config.__module__.startswith("sidecar.checks.")
    }


def all_services() -> dict[str, ServiceType[Any]]:
    """Return the services that can be told of a deploy, by name."""
    types = InstalledServices()
    found = {name: types.find(name) for name in types.names()}
    return {name: each for name, each in found.items() if each}


def _renew(match: re.Match[str]) -> str:
    begin, end = match[1], match[4]
    if match["what"] == "keys":
        return f"{begin}\n{document_keys(KEYS[match['name']])}\n\n{end}"
    return f"{begin}\n```text\n{(CORPUS / match['name']).with_suffix('.txt').read_text()}```\n\n{end}"


def _page(name: str, found: CheckType[Any]) -> str:
    others = "[Every check](../configuration.md#the-keys-of-every-check) has the others."
    return f"{_written_from(found)}{document_type(name, found)}\n{others}\n"


def _service_page(name: str, found: ServiceType[Any]) -> str:
    others = "[Every service](../deploys.md#the-section) has the others: `type`, `name` and `events`."
    return f"{_written_from(found)}{document_type(name, found)}\n{others}\n"


def _written_from(found: CheckType[Any] | ServiceType[Any]) -> str:
    module = found.config.__module__.replace(".", "/")
    return f"<!-- Written by `make docs` from {module}.py. -->\n\n"


def _index(types: Mapping[str, CheckType[Any]]) -> str:
    rows = [f"| [`{name}`]({name}.md) | {_summary(found)} |" for name, found in types.items()]
    return "\n".join(
        [
            "<!-- Written by `make docs`. -->\n",
            "# The check types\n",
            "| `type:` | what a run does |",
            "|---|---|",
            *rows,
            "",
            "`sidecar types` lists them and the installed plug-ins, `sidecar types TYPE` shows a page.",
            "A package adds a type of its own through the entry-point group `sidecar.checks`:",
            "[CONTRIBUTING.md](../../CONTRIBUTING.md) says how.\n",
        ]
    )


def _index_of_services(services: Mapping[str, ServiceType[Any]]) -> str:
    rows = [f"| [`{name}`]({name}.md) | {_summary(found)} |" for name, found in services.items()]
    return "\n".join(
        [
            "<!-- Written by `make docs`. -->\n",
            "# The services\n",
            "Each is an element of `deploy.announce`: [deploys.md](../deploys.md) says when it is told.\n",
            "| `type:` | what it does |",
            "|---|---|",
            *rows,
            "",
        ]
    )


def _summary(found: CheckType[Any] | ServiceType[Any]) -> str:
    return " ".join(found.documentation.partition("\n\n")[0].split()).replace("|", r"\|")


if __name__ == "__main__":
    main()
