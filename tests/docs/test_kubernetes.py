"""docs/kubernetes.md shows pieces of files that are tested, and times that follow from them."""

import re
from math import ceil
from pathlib import Path
from textwrap import indent
from typing import Final

import pytest

from sidecar.checks import InstalledTypes
from sidecar.config.model import Config
from sidecar.config.source import Source
from sidecar.core.state import RETRY_DELAY_LIMIT
from sidecar.lint.findings import Finding
from sidecar.lint.pod import Probe, Role, Workload
from sidecar.lint.reading import read_workloads
from sidecar.lint.rules import examine
from sidecar.lint.surroundings import Loader
from sidecar.lint.times import CLOSING, START, Outage, drain_time, exit_time
from sidecar.runtime.scheduler import SPREAD
from tests.docs.examples import ROOT
from tests.k8s.styles import STYLES, Shipped, style

PAGE: Final = (ROOT / "docs" / "kubernetes.md").read_text()
SENTENCES: Final = " ".join(PAGE.replace("\n> ", "\n").split())
TESTED: Final = {
    (ROOT / "docs" / link).resolve()
    for link in re.findall(r"\]\(([^)#]*\.(?:yaml|json))\)", PAGE)
    if not link.startswith("http")
}
"""The files that the page links to; those of k8s/ and examples/ have tests of their own."""
TOLD: Final = ("rollout-times", "exit-times")
DEPLOYMENTS: Final = ("native/deployment", "native/worker", "plain/deployment", "init/deployment")
FENCES: Final = re.findall(r"^```(?:yaml|json)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def is_piece_of(piece: str, path: Path) -> bool:
    """Whether consecutive lines of a file are these, whatever their common indentation."""
    text = path.read_text()
    return any(f"\n{indent(piece, ' ' * depth)}" in f"\n{text}" for depth in range(0, 20, 2))


def loader_of(shipped: Shipped) -> Loader:
    return Loader(Source("config.yaml", shipped.config.encode()), InstalledTypes(), {})


def workload_of(shipped: Shipped) -> Workload:
    [workload] = read_workloads(str(shipped), shipped.path.read_bytes())
    return workload


def config_of(shipped: Shipped) -> Config:
    return loader_of(shipped).load_in(workload_of(shipped).pod.containers)


def findings_of(shipped: Shipped) -> tuple[Finding, ...]:
    return examine([workload_of(shipped)], loader_of(shipped)).findings


def probe_of(shipped: Shipped, container: str, role: Role) -> Probe:
    [found] = [each for each in workload_of(shipped).pod.containers if each.name == container]
    return found.probes[role]


def times_under(heading: str) -> list[str]:
    """Return the first column of the timeline under a heading."""
    section = PAGE.partition(f"\n### {heading}\n")[2]
    table = section.partition("| time | what happens |\n|---|---|\n")[2].partition("\n\n")[0]
    return re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)


@pytest.mark.parametrize("piece", FENCES, ids=lambda piece: piece.splitlines()[0])
def test_every_example_is_a_piece_of_a_file_that_the_page_links_to(piece: str) -> None:
    assert [path for path in TESTED if is_piece_of(piece, path)] != []


def test_the_page_leads_to_every_file_of_every_style() -> None:
    assert {each.path for each in STYLES} - TESTED == set()


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_the_page_says_what_our_own_rules_say(name: str) -> None:
    said = [each.remark.sentence for each in findings_of(style(name)) if each.rule.name in TOLD]

    assert said != []
    assert [sentence for sentence in said if sentence not in SENTENCES] == []


def test_the_times_of_a_good_rollout_follow_from_the_manifest() -> None:
    shipped = style("native/deployment")
    start, ready = (
        probe_of(shipped, "sidecar", Role.STARTUP),
        probe_of(shipped, "sidecar", Role.READINESS),
    )
    [app] = [check for check in config_of(shipped).checks if check.name == "app"]
    back = Outage.of(app, ready, is_held=False).back
    later = RETRY_DELAY_LIMIT * (1 + SPREAD) + start.period

    assert times_under("A good rollout") == [
        "0s",
        f"{START}s",
        f"at most {START + start.period}s",
        "the app's boot",
        f"at most {ceil(back.most)}s more",
        f"{shipped.workload['spec']['minReadySeconds']}s more",
    ]
    assert f"the app is started at most {ceil(later)}s after it is there" in SENTENCES


def test_the_times_of_a_broken_rollout_follow_from_the_manifest() -> None:
    shipped = style("native/deployment")

    assert times_under("A broken rollout") == [
        "0s",
        f"{START}s",
        f"{config_of(shipped).sections.startup.deadline:.0f}s",
        f"{probe_of(shipped, 'sidecar', Role.STARTUP).budget}s",
        f"{shipped.workload['spec']['progressDeadlineSeconds']}s",
    ]


def test_the_times_of_an_end_follow_from_the_manifest() -> None:
    native, worker, plain = map(style, DEPLOYMENTS[:3])
    [app] = native.apps
    closing = f"at most {CLOSING}s more"

    assert times_under("The end of a native sidecar") == [
        "0s",
        f"{app['lifecycle']['preStop']['sleep']['seconds']}s",
        "then",
        closing,
        f"{native.pod['terminationGracePeriodSeconds']}s",
    ]
    assert times_under("The end of a native worker") == [
        "0s",
        str(drain_time(config_of(worker).sections.drain)),
        "then",
        closing,
        f"{worker.pod['terminationGracePeriodSeconds']}s",
    ]
    assert times_under("The end of a plain container") == [
        "0s",
        str(drain_time(config_of(plain).sections.drain)),
        str(exit_time(config_of(plain).sections.drain)),
        f"{plain.pod['terminationGracePeriodSeconds']}s",
    ]


def test_the_share_of_the_sidecar_in_the_utilisation_is_as_told() -> None:
    own, app = (
        int(each["resources"]["requests"]["cpu"].removesuffix("m"))
        for each in style("native/deployment").containers
    )
    of_app = app * 70 // 100

    assert f"Its {own}m, of which it uses about 2m" in SENTENCES
    assert (
        f"requests {app}m and uses {of_app}m, {round(100 * (of_app + 2) / (own + app))} % instead of 70 %"
        in SENTENCES
    )


def test_a_piece_is_found_at_any_depth_and_an_edited_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a:\n  b:\n    - c\n\n    - d\n")

    assert is_piece_of("- c\n\n- d\n", path)
    assert not is_piece_of("- c\n- d\n", path)
