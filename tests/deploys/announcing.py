"""`sidecar announce` in a thread, so that services on the test's own event loop can answer it."""

import asyncio
from collections.abc import Mapping
from typing import Final

from click.testing import CliRunner, Result

from sidecar.cli.verbs import sidecar
from tests.deploys.stand_ins import RollbarStandIn, SlackStandIn
from tests.deploys.stand_ins.base import TOKEN
from tests.deploys.stand_ins.slack import CHANNEL

NO_PIPELINE: Final[Mapping[str, str | None]] = dict.fromkeys(("CIRCLECI", "GITHUB_ACTIONS", "GITLAB_CI"))
"""Unset: the tests themselves may run in one."""
SECRETS: Final = {"SLACK_TOKEN": TOKEN, "ROLLBAR_TOKEN": TOKEN}


def configuration(slack: SlackStandIn, rollbar: RollbarStandIn, more: str = "") -> str:
    """Return one that announces to both."""
    return f"""
deploy:
  service: web
  environment: production
  revision: ${{GIT_SHA}}
  announce:
    - {{type: slack, token: "${{SLACK_TOKEN}}", channel: {CHANNEL}, base_url: "{slack.url}"}}
    - {{type: rollbar, token: "${{ROLLBAR_TOKEN}}", base_url: "{rollbar.url}"}}
{more}"""


async def announce(
    *arguments: str, config: str | None = None, env: Mapping[str, str | None] | None = None
) -> Result:
    """Run the verb to its end, with this configuration on standard input if there is one."""
    source = () if config is None else ("--config", "-")
    return await asyncio.to_thread(
        CliRunner().invoke,
        sidecar,
        ["announce", *arguments, *source],
        input=config,
        env={**NO_PIPELINE, **SECRETS, **(env or {})},
    )
