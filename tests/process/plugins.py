"""A third-party package with check types, as an installation would leave it on the path."""

from pathlib import Path
from textwrap import dedent, indent


def install(folder: Path, *, run: str, name: str = "trouble", prelude: str = "") -> dict[str, str]:
    """Write a distribution whose check's `run` has the given body; return the environment that finds it."""
    site = folder / f"site-{name}"
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[sidecar.checks]\n{name} = {name}:check_type\n")
    (site / f"{name}.py").write_text(MODULE.format(run=indent(dedent(run), " " * 8), prelude=dedent(prelude)))
    return {"PYTHONPATH": str(site)}


MODULE = '''\
"""Makes trouble."""

import asyncio
import time
from dataclasses import dataclass

from sidecar.config.check import CheckConfig, CheckType, option
from sidecar.config.fields import SecretText

{prelude}


@dataclass(frozen=True, kw_only=True, repr=False)
class TroubleConfig(CheckConfig):
    token: SecretText | None = option("What nobody may see.", default=None)


class TroubleCheck:
    def __init__(self, config):
        self.config = config

    async def run(self):
{run}

    async def aclose(self):
        pass


check_type = CheckType(config=TroubleConfig, build=TroubleCheck)
'''
