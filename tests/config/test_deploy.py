"""The section `deploy`: its keys, its rules, what is worth a second thought, what a pipeline reads of it."""

import pytest

from sidecar.config.cluster import asking_the_cluster
from sidecar.config.deploy import ClaimBy, DeployConfig
from sidecar.config.kinds.page import PageKind
from sidecar.config.load import load
from sidecar.config.load_deploy import load_deploy
from sidecar.config.model import Config
from sidecar.config.problems import ConfigError
from sidecar.config.source import Source
from sidecar.core.deploy import DeployEvent
from sidecar.deploys import InstalledServices
from tests.config.world import TYPES

CHECKS = "checks: [{name: a, type: ping, host: db, gates: startup}]\n"
KEYS = "service: builds, environment: production, revision: abc123"
ID = f"{KEYS}, id: '42'"
SLACK = "{type: slack, webhook_url: https://hooks.slack.com/services/T0/B0/hunter2}"


def read(deploy: str, **environ: str) -> Config:
    text = f"{CHECKS}deploy: {{{deploy}}}\n"
    return load(Source("c.yaml", text.encode()), TYPES, environ, services=InstalledServices())


def problems(deploy: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        read(deploy, **environ)
    return [str(problem).partition(": ")[2] for problem in refused.value.problems]


def section(config: Config) -> DeployConfig:
    assert config.sections.deploy is not None
    return config.sections.deploy


def test_three_keys_suffice() -> None:
    deploy = section(read(KEYS))

    assert (deploy.service, deploy.environment, deploy.revision) == ("builds", "production", "abc123")
    assert (deploy.id, deploy.stable_for, deploy.deadline, deploy.claim) == (None, 30.0, 600.0, ClaimBy.NONE)
    assert deploy.announce == ()


def test_without_the_section_there_is_no_deploy() -> None:
    text = Source("c.yaml", CHECKS.encode())

    assert load(text, TYPES, {}).sections.deploy is None


def test_a_service_is_known_by_its_name_or_else_by_its_type() -> None:
    named = f"{SLACK[:-1]}, name: oncall, events: [failed, timed_out]}}"
    deploy = section(read(f"{ID}, announce: [{SLACK}, {named}]"))

    assert [each.label for each in deploy.announce] == ["slack", "oncall"]
    assert deploy.announce[0].events == frozenset(DeployEvent)
    assert deploy.announce[1].events == {DeployEvent.FAILED, DeployEvent.TIMED_OUT}
    assert [repr(each) for each in deploy.announce] == ["<SlackConfig slack>", "<SlackConfig oncall>"]


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (
            f"{KEYS}, claim: redis",
            "deploy.claim: needs the key redis beside it, with the URL of the store",
        ),
        (
            f"{ID}, redis: {{url: redis://redis/0}}",
            "deploy.redis: has no use without claim: redis; write that, or remove it",
        ),
        (
            f"{ID}, claim: redis, redis: {{url: redis://redis/nine}}",
            "deploy.redis.url: names no database; write its number, such as redis://redis:6379/0",
        ),
        (
            f"{ID}, stable_for: 10m, deadline: 5m",
            "deploy.deadline: ends before anything can be stable; write more than stable_for",
        ),
        (
            f"{ID}, announce: [{SLACK}, {SLACK}]",
            "deploy.announce: has slack more than once; give each a name of its own",
        ),
        (
            f"{ID}, announce: [{{type: slak}}]",
            (
                "deploy.announce[0].type: unknown service 'slak'; did you mean 'slack'? choose from "
                "kubernetes-event, rollbar, sentry, slack, webhook"
            ),
        ),
        (
            f"{ID}, announce: [{{}}]",
            (
                "deploy.announce[0]: the key type is missing; choose from kubernetes-event, rollbar, sentry, "
                "slack, webhook"
            ),
        ),
        (
            f"{ID}, announce: [{{type: kubernetes-event, events: none}}]",
            (
                "deploy.announce[0].events: unknown choice 'none'; choose from started, succeeded, failed, "
                "timed_out"
            ),
        ),
        (
            f"{ID}, announce: [{{type: kubernetes-event, events: []}}]",
            "deploy.announce[0].events: is empty; write at least one word, or leave the key out",
        ),
        (
            f"{ID}, announce: {SLACK}",
            "deploy.announce: is a mapping; write a list of services, each beginning with a dash",
        ),
        (
            f"{KEYS}, id: '  '",
            "deploy.id: is blank; write a text, or leave the key out",
        ),
        (
            "service: builds, environment: '\t', revision: a, id: b",
            "deploy.environment: is blank; write a text, or leave the key out",
        ),
        (
            "service: '  ', environment: production, revision: a, id: b",
            "deploy.service: is blank; write a text, or leave the key out",
        ),
        (
            "service: builds, environment: production, revision: 'a b'",
            (
                "deploy.revision: 'a b' is not a revision; write at most 200 letters, digits and signs, "
                "without blanks"
            ),
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(keys: str, told: str) -> None:
    assert problems(keys) == [told]


def test_of_an_unknown_service_the_other_keys_are_still_judged() -> None:
    assert len(problems(f"{ID}, announce: [{{type: x, name: 'No Name', events: [finished]}}]")) == 3


def test_without_an_id_rollbacks_are_not_announced_and_that_is_said() -> None:
    assert [each.sentence.partition(":")[0] for each in read(KEYS).advice] == [
        "has no id, so that rollbacks are not announced"
    ]


@pytest.mark.parametrize("keys", [ID, f"{KEYS}, claim: kubernetes"])
def test_with_an_id_of_either_kind_there_is_nothing_to_say(keys: str) -> None:
    assert read(keys).advice == ()


def test_services_without_a_claim_hear_from_every_replica_and_that_is_said() -> None:
    [advice] = read(f"{ID}, announce: [{SLACK}]").advice

    assert str(advice).startswith("c.yaml:2:1: deploy: claims nothing, so that every replica announces")


def test_the_whole_path_of_a_webhook_is_a_secret() -> None:
    config = read(f"{ID}, announce: [{SLACK}]")

    assert "/services/T0/B0/hunter2" in config.secrets
    assert "hunter2" not in repr(config) + str(section(config).announce[0])


def test_a_store_has_its_password_as_a_secret() -> None:
    config = read(f"{ID}, claim: redis, redis: {{url: redis://redis/0, password: '${{PW}}'}}", PW="hunter2")

    assert "hunter2" in config.secrets
    assert "hunter2" not in repr(config)


def test_a_service_that_is_no_mapping_is_refused() -> None:
    assert problems(f"{ID}, announce: [slack]") == [
        "deploy.announce[0]: is a single value; write a mapping of keys and values"
    ]


def test_a_service_on_the_network_does_not_ask_the_cluster() -> None:
    config = read(f"{ID}, announce: [{SLACK}, {{type: kubernetes-event}}]")

    told = [each.path for each in asking_the_cluster(config, InstalledServices())]

    assert told == ["deploy.announce.kubernetes-event"]


def test_a_page_is_shown_as_it_is_written() -> None:
    assert PageKind().show("https://ci.test/1") == "https://ci.test/1"


class TestPipeline:
    """What a pipeline reads: the section alone, for it has none of the pod's secrets."""

    def load(self, text: str, **environ: str) -> DeployConfig:
        return load_deploy(Source("c.yaml", text.encode()), environ, services=InstalledServices()).deploy

    def told(self, text: str) -> list[str]:
        with pytest.raises(ConfigError) as refused:
            self.load(text)
        return [str(problem) for problem in refused.value.problems]

    def test_the_checks_are_not_looked_at(self) -> None:
        checks = "checks: [{name: a, type: nonsense, password: '${UNSET}'}]\n"

        assert self.load(f"{checks}deploy: {{{KEYS}}}\n") == section(read(KEYS))

    def test_the_section_may_stand_alone(self) -> None:
        assert self.load(f"deploy: {{{KEYS}}}\n").service == "builds"

    @pytest.mark.parametrize("text", ["checks: []\n", "- name: a\n", "text"])
    def test_a_file_without_it_is_refused(self, text: str) -> None:
        assert self.told(text) == [
            "c.yaml:1:1: the key deploy is missing: Which revision we are, and who hears of it."
        ]

    def test_a_key_that_is_malformed_is_told_and_not_taken_from_elsewhere(self) -> None:
        assert self.told("deploy: {service: '${', environment: production, revision: abc123}\n") == [
            (
                "c.yaml:1:19: deploy.service: has a '${' without its '}'; write ${NAME}, ${NAME:-default} or "
                "${file:/path}, and $${ for a literal ${"
            )
        ]

    def test_an_empty_file_is_refused(self) -> None:
        assert self.told("") == ["c.yaml: is empty; write a mapping with the key deploy"]

    def test_every_problem_is_told(self) -> None:
        assert len(self.told("deploy: {environment: '', announce: [{type: x}]}\n")) == 4

    def test_its_secrets_are_known(self) -> None:
        text = f"deploy: {{{ID}, announce: [{SLACK}]}}\n"
        loaded = load_deploy(Source("c.yaml", text.encode()), {}, services=InstalledServices())

        assert "/services/T0/B0/hunter2" in loaded.secrets
        assert "hunter2" not in repr(loaded)
