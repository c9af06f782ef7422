"""`sidecar lint`: the configuration against the pod that carries it."""

import json
import os
import sys
from collections import Counter
from collections.abc import Sequence

import click

from sidecar.checks import InstalledTypes
from sidecar.cli._configuration import (
    EXIT_CONFIGURATION,
    EXIT_FAILURE,
    config_option,
    exit_on_problems,
    source_at,
)
from sidecar.config.problems import unknown
from sidecar.deploys import InstalledServices
from sidecar.lint.findings import Finding, Level
from sidecar.lint.manifest import LIMITS
from sidecar.lint.reading import read_workloads
from sidecar.lint.rules import RULES, Examination, examine
from sidecar.lint.surroundings import Loader


@click.command("lint")
@config_option
@click.option("--pod", "pod_path", required=True, metavar="FILE", help="The manifests; - for standard input.")
@click.option("--container", metavar="NAME", help="The sidecar's container, where it cannot be recognized.")
@click.option("--ignore", multiple=True, metavar="RULE", help="Leave this rule out; may be given again.")
@click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", help="How to show the findings."
)
def command(path: str, pod_path: str, container: str | None, ignore: tuple[str, ...], output: str) -> None:
    """Judge the configuration and the Pod, Deployment or other workload that carries it.

    Exits with 0 if there is neither an error nor a warning, 1 if there is, 2 if a file cannot be read.
    """
    _refuse_unknown(ignore)
    if path == pod_path == "-":
        raise click.UsageError("only one of --config and --pod can be read from standard input")
    with exit_on_problems("manifest"):
        source = source_at(pod_path, LIMITS.size)
        workloads = read_workloads(source.name, source.content)
    with exit_on_problems():
        loader = Loader(source_at(path), InstalledTypes(), os.environ, InstalledServices())
        examination = examine(workloads, loader, container)
    _require_sidecar(examination, len(workloads), container)
    findings = [finding for finding in examination.findings if finding.rule.name not in ignore]
    _show(findings, output)
    sys.exit(EXIT_FAILURE if any(finding.counts for finding in findings) else 0)


def _refuse_unknown(ignored: Sequence[str]) -> None:
    names = [rule.name for rule in RULES]
    for name in ignored:
        if name not in names:
            raise click.BadParameter(unknown("rule", name, names), param_hint="--ignore")


def _require_sidecar(examination: Examination, count: int, container: str | None) -> None:
    """Name the workloads that carry no sidecar, and exit with 2 if that is all of them."""
    wanted = f"no container {container!r}" if container else "no container that is the sidecar"
    for workload in examination.without_sidecar:
        names = ", ".join(each.name for each in workload.pod.containers)
        click.echo(f"{workload.place}: {workload} has {wanted} among {names}", err=True)
    if len(examination.without_sidecar) == count:
        click.echo("nothing to judge; name the sidecar's container with --container", err=True)
        sys.exit(EXIT_CONFIGURATION)


def _show(findings: Sequence[Finding], output: str) -> None:
    if output == "json":
        click.echo(json.dumps([_as_dict(finding) for finding in findings], indent=2))
        return
    for finding in findings:
        click.echo(_as_text(finding))
    counts = Counter(finding.rule.level for finding in findings)
    click.echo(", ".join(_count(counts[level], level) for level in Level), err=True)


def _as_text(finding: Finding) -> str:
    rule, remark = finding.rule, finding.remark
    lines = [f"{remark.place}: {rule.level}: {rule.name}: {finding.subject}: {remark.sentence}"]
    lines.append(f"    why: {rule.why}")
    lines += [f"    write: {line}" for line in remark.write.splitlines()]
    return "\n".join(lines)


def _as_dict(finding: Finding) -> dict[str, object]:
    rule, remark = finding.rule, finding.remark
    return {
        "rule": rule.name,
        "level": rule.level,
        "workload": finding.subject,
        "file": remark.place.source,
        "line": remark.place.line,
        "column": remark.place.column,
        "message": remark.sentence,
        "why": rule.why,
        "write": remark.write,
    }


def _count(number: int, level: Level) -> str:
    is_countable = level is not Level.INFORMATION
    return f"{number} {level}{'s' if is_countable and number != 1 else ''}"
