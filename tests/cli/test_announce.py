"""`sidecar announce` to services of the tests' own: what arrives, what is shown, and what is kept."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.deploys.announcing import SECRETS, announce, configuration
from tests.deploys.pipelines import CIRCLECI, SHA
from tests.deploys.stand_ins import (
    Misbehaviour,
    RollbarStandIn,
    SentryStandIn,
    SlackStandIn,
    WebhookStandIn,
)
from tests.deploys.stand_ins.base import TOKEN
from tests.deploys.stand_ins.sentry import ORGANIZATION
from tests.deploys.stand_ins.slack import HOOK
from tests.deploys.stand_ins.webhook import PATH, SIGNING_SECRET
from tests.process.program import run_sidecar

BOTH = "slack: delivered\nrollbar: delivered\n"


@dataclass
class Services:
    """Both, and a configuration that names them."""

    slack: SlackStandIn
    rollbar: RollbarStandIn

    @property
    def config(self) -> str:
        return configuration(self.slack, self.rollbar)

    @property
    def headlines(self) -> list[str]:
        """The messages of the channel, each with whether it stands in a thread."""
        return [f"{'> ' if 'thread_ts' in each else ''}{each['text']}" for each in self.slack.accepted]

    @property
    def statuses(self) -> list[str]:
        """Of Rollbar's deploys."""
        return [each["status"] for each in self.rollbar.accepted]

    @property
    def asked(self) -> int:
        return len(self.slack.requests) + len(self.rollbar.requests)


@pytest.fixture
async def services() -> AsyncIterator[Services]:
    async with AsyncExitStack() as stack:
        yield Services(
            await stack.enter_async_context(SlackStandIn()), await stack.enter_async_context(RollbarStandIn())
        )


def shown(result: Any) -> tuple[int, str, str]:
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    ("event", "headline"),
    [
        ("started", "web c0ffee0c0ffe is being deployed to production"),
        ("succeeded", "web c0ffee0c0ffe is live in production"),
        ("failed", "web c0ffee0c0ffe has failed in production"),
    ],
)
async def test_every_service_hears_of_the_event(services: Services, event: str, headline: str) -> None:
    told = await announce(event, config=services.config, env=CIRCLECI)

    assert shown(told) == (0, BOTH, "")
    assert (services.headlines, services.statuses) == ([headline], [event])
    assert (services.slack.refusals, services.rollbar.refusals) == ([], [])


async def test_what_the_pipeline_knows_is_told(services: Services) -> None:
    await announce("started", "--comment", "Sell tea", config=services.config, env=CIRCLECI)

    (deploy,) = services.rollbar.accepted
    assert (deploy["revision"], deploy["local_username"], deploy["comment"]) == (SHA, "ada", "Sell tea")
    told = json.dumps(services.slack.accepted)
    assert f"https://github.com/acme/web/commit/{SHA}" in told
    assert CIRCLECI["CIRCLE_BUILD_URL"] in told


async def test_an_option_goes_before_the_file_and_the_file_before_the_pipeline(services: Services) -> None:
    options = ("--revision", "option", "--environment", "staging", "--service", "shop")
    await announce("started", *options, config=services.config, env={**CIRCLECI, "GIT_SHA": "file"})
    await announce("started", config=services.config, env={**CIRCLECI, "GIT_SHA": "file"})
    await announce("started", config=services.config, env=CIRCLECI)

    assert [(each["revision"], each["environment"]) for each in services.rollbar.accepted] == [
        ("option", "staging"),
        ("file", "production"),
        (SHA, "production"),
    ]


async def test_receipts_let_the_next_step_update_what_the_last_one_made(
    services: Services, tmp_path: Path
) -> None:
    kept = ("--receipts", str(tmp_path / "receipts.json"))
    for event in ("started", "failed", "succeeded"):
        assert shown(await announce(event, *kept, config=services.config, env=CIRCLECI)) == (0, BOTH, "")

    first, failed, recovered = services.headlines
    assert first.startswith("web c0ffee0c0ffe has recovered: it is live in production")
    assert failed.startswith("> web c0ffee0c0ffe has failed in production")
    assert recovered == f"> {first}"
    assert services.statuses == ["succeeded"]


async def test_the_time_of_the_first_step_counts(services: Services, tmp_path: Path) -> None:
    path = tmp_path / "receipts.json"
    await announce("started", "--receipts", str(path), config=services.config, env=CIRCLECI)
    kept = json.loads(path.read_text())
    path.write_text(json.dumps({**kept, "started_at": kept["started_at"] - 125}))

    await announce("succeeded", "--receipts", str(path), config=services.config, env=CIRCLECI)

    assert services.headlines == ["web c0ffee0c0ffe is live in production after 2m 5s"]


async def test_receipts_of_another_deploy_are_not_used(services: Services, tmp_path: Path) -> None:
    path = tmp_path / "receipts.json"
    await announce("started", "--receipts", str(path), "--id", "1", config=services.config, env=CIRCLECI)

    told = await announce(
        "started", "--receipts", str(path), "--id", "2", config=services.config, env=CIRCLECI
    )

    assert shown(told) == (0, BOTH, f"{path} is about another deploy, and begins anew with this one\n")
    assert services.statuses == ["started", "started"]


async def test_a_file_that_holds_something_else_is_refused_before_anything_is_sent(
    services: Services, tmp_path: Path
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(services.config)

    told = await announce("started", "--receipts", str(path), config=services.config, env=CIRCLECI)

    assert shown(told) == (
        2,
        "",
        f"{path} is no file of receipts: give another name, or remove the file\n",
    )
    assert (services.asked, path.read_text()) == (0, services.config)


async def test_receipts_that_cannot_be_kept_are_refused_before_anything_is_sent(
    services: Services, tmp_path: Path
) -> None:
    path = tmp_path / "no" / "receipts.json"

    told = await announce("started", "--receipts", str(path), config=services.config, env=CIRCLECI)

    assert shown(told) == (2, "", f"{path} cannot be written: no such file or directory\n")
    assert services.asked == 0


async def test_one_service_that_refuses_keeps_no_other_from_hearing(services: Services) -> None:
    services.rollbar.misbehave(Misbehaviour.FORBID)

    told = await announce("started", config=services.config, env=CIRCLECI)

    assert shown(told) == (
        1,
        f"slack: delivered\nrollbar: gave up: {services.rollbar.url} answered 403: not you\n",
        "",
    )


async def test_a_service_that_is_away_for_a_moment_is_tried_again(services: Services) -> None:
    services.rollbar.misbehave(Misbehaviour.UNAVAILABLE, times=1)

    told = await announce("started", config=services.config, env=CIRCLECI)

    assert (shown(told), services.statuses) == ((0, BOTH, ""), ["started"])


async def test_json_has_an_object_a_service(services: Services) -> None:
    services.rollbar.misbehave(Misbehaviour.FORBID)

    told = await announce("started", "--output", "json", config=services.config, env=CIRCLECI)

    refusal = f"{services.rollbar.url} answered 403: not you"
    assert (told.exit_code, json.loads(told.stdout)) == (
        1,
        [
            {"name": "slack", "type": "slack", "outcome": "delivered", "message": ""},
            {"name": "rollbar", "type": "rollbar", "outcome": "gave up", "message": refusal},
        ],
    )


async def test_a_rehearsal_shows_the_requests_and_sends_none(services: Services, tmp_path: Path) -> None:
    path = tmp_path / "receipts.json"
    options = ("--dry-run", "--receipts", str(path))

    told = await announce("started", *options, config=services.config, env=CIRCLECI)

    assert (told.exit_code, told.stderr, services.asked, path.exists()) == (0, "", 0, False)
    rollbar = told.stdout.partition("rollbar: ")[2]
    assert rollbar == (
        "not sent\n"
        "\n"
        f"  POST {services.rollbar.url}/api/1/deploy\n"
        "  X-Rollbar-Access-Token: ***\n"
        "  Content-Type: application/json\n"
        "\n"
        "  {\n"
        '    "environment": "production",\n'
        f'    "revision": "{SHA}",\n'
        '    "status": "started",\n'
        '    "local_username": "ada"\n'
        "  }\n"
    )


async def test_a_rehearsal_in_json_has_the_requests(services: Services) -> None:
    told = await announce("started", "--dry-run", "--output", "json", config=services.config, env=CIRCLECI)

    slack, rollbar = json.loads(told.stdout)
    assert (slack["outcome"], [each["method"] for each in slack["requests"]]) == ("not sent", ["POST"])
    assert rollbar["requests"][0]["headers"]["X-Rollbar-Access-Token"] == "***"
    assert rollbar["requests"][0]["body"]["revision"] == SHA


@pytest.mark.parametrize(
    ("options", "how"),
    [
        ((), None),
        ((), Misbehaviour.FORBID),
        ((), Misbehaviour.REDIRECT),
        (("--output", "json"), Misbehaviour.FORBID),
        (("--dry-run",), None),
        (("--dry-run", "--output", "json"), None),
    ],
)
@pytest.mark.parametrize("event", ["started", "succeeded", "failed"])
async def test_no_output_has_a_secret_whatever_service_is_told(
    event: str, options: Sequence[str], how: Misbehaviour | None
) -> None:
    async with (
        SlackStandIn() as slack,
        RollbarStandIn() as rollbar,
        SentryStandIn() as sentry,
        WebhookStandIn() as webhook,
    ):
        for each in (slack, rollbar, sentry, webhook):
            if how is not None:
                each.misbehave(how)
        config = configuration(slack, rollbar, others(slack, sentry, webhook))
        told = await announce(event, *options, config=config, env=CIRCLECI)

    assert told.exit_code == (1 if how else 0)
    key = SIGNING_SECRET.removeprefix("whsec_")
    for secret in (TOKEN, key, HOOK, HOOK.rpartition("/")[2], PATH, PATH.rpartition("/")[2], "s3cret-header"):
        assert secret not in told.output


def others(slack: SlackStandIn, sentry: SentryStandIn, webhook: WebhookStandIn) -> str:
    """Return the services beside the two, with every kind of secret written into the file."""
    signing = f"url: '{webhook.hook_url}', secret: {SIGNING_SECRET}, headers: {{x-key: s3cret-header}}"
    release = f"organization: {ORGANIZATION}, projects: [shop-backend], token: '{TOKEN}'"
    return f"""\
    - {{type: slack, name: hook, webhook_url: '{slack.hook_url}'}}
    - {{type: sentry, {release}, base_url: '{sentry.url}'}}
    - {{type: webhook, {signing}}}
"""


async def test_what_only_a_pod_can_tell_is_skipped(services: Services) -> None:
    config = configuration(services.slack, services.rollbar, "    - type: kubernetes-event\n")

    told = await announce("started", config=config, env=CIRCLECI)

    assert shown(told) == (0, f"{BOTH}kubernetes-event: skipped: only a pod can tell it\n", "")


async def test_a_secret_that_a_service_repeats_is_masked(services: Services) -> None:
    services.rollbar.say(403, f"the token {TOKEN} is unknown")

    told = await announce("started", config=services.config, env=CIRCLECI)

    assert f"{services.rollbar.url} answered 403: the token *** is unknown" in told.stdout


async def test_a_secret_in_what_the_pipeline_knows_is_sent_to_nobody(services: Services) -> None:
    env = {**CIRCLECI, "CIRCLE_USERNAME": TOKEN, "CIRCLE_BUILD_URL": f"https://ada:pw@ci.test/{TOKEN}"}

    told = await announce("started", "--comment", f"with {TOKEN}", config=services.config, env=env)

    assert (told.exit_code, services.rollbar.accepted[0]["comment"]) == (0, "with ***")
    sent = "".join(str(each) for each in (*services.slack.accepted, *services.rollbar.accepted))
    assert TOKEN not in sent
    assert "pw@" not in sent


async def test_every_problem_is_told_at_once_and_nothing_is_sent(services: Services) -> None:
    config = services.config.replace("production", "${ENVIRONMENT}")

    told = await announce("started", config=config, env={"SLACK_TOKEN": None})

    assert (told.exit_code, told.stdout, services.asked) == (2, "", 0)
    assert told.stderr.splitlines() == [
        (
            "<stdin>:4:16: deploy.environment: the variable ENVIRONMENT is not set; set it, or write "
            "${ENVIRONMENT:-default}"
        ),
        (
            "<stdin>:5:13: deploy.revision: the variable GIT_SHA is not set; set it, or write "
            "${GIT_SHA:-default}"
        ),
        (
            "<stdin>:7:28: deploy.announce[0].token: the variable SLACK_TOKEN is not set; set it, or write "
            "${SLACK_TOKEN:-default}"
        ),
        "the configuration has 3 problems",
    ]


@pytest.mark.parametrize("option", ["--revision", "--environment", "--service", "--id", "--comment"])
async def test_an_option_whose_variable_was_not_set_is_refused(services: Services, option: str) -> None:
    told = await announce("started", option, "", config=services.config, env=CIRCLECI)

    assert (told.exit_code, services.asked) == (2, 0)
    assert told.stderr.splitlines()[-1] == (
        f"Error: Invalid value for '{option}': is empty; write a text, or leave the option out"
    )


@pytest.mark.parametrize("option", ["--environment", "--service", "--id", "--comment"])
async def test_an_option_of_blanks_says_nothing_either(services: Services, option: str) -> None:
    told = await announce("started", option, " \n", config=services.config, env=CIRCLECI)

    assert (told.exit_code, services.asked) == (2, 0)
    assert told.stderr.endswith("is empty; write a text, or leave the option out\n")


@pytest.mark.parametrize("revision", ["a b", "abc123\n", "é", "v" * 201])
async def test_a_revision_that_the_file_may_not_have_is_refused(services: Services, revision: str) -> None:
    told = await announce("started", "--revision", revision, config=services.config, env=CIRCLECI)

    assert (told.exit_code, services.asked) == (2, 0)
    assert told.stderr.endswith(
        "is not a revision; write at most 200 letters, digits and signs, without blanks\n"
    )


@pytest.mark.parametrize("announced", ["[]", "[{type: rollbar, token: hidden-token, events: [failed]}]"])
async def test_an_event_that_nobody_wants_is_said_to_be_one(announced: str) -> None:
    config = f"deploy: {{service: web, environment: test, revision: a, announce: {announced}}}"

    told = await announce("started", config=config)

    assert shown(told) == (0, "", "no service in deploy.announce wants to be told of started\n")


async def test_the_program_itself_announces(services: Services, tmp_path: Path) -> None:
    path = tmp_path / "sidecar.yaml"
    path.write_text(services.config)

    told = await run_sidecar(
        "announce", "started", "--config", str(path), "--revision", "abc123", env=SECRETS
    )

    assert (told.code, told.out, told.err) == (0, BOTH, "")
    assert services.statuses == ["started"]
