"""The judge of commands itself."""

import pytest

from tests.k8s.commands import understands


@pytest.mark.parametrize(
    ("words", "understood"),
    [
        ("probe readyz", True),
        ("probe readyzz", False),
        ("drain", True),
        ("drain now", False),
        ("check --wait 5m --gate startup", True),
        ("check --wait 5m --gate start", False),
        ("check --weit 5m", False),
        ("chek", False),
        ("serve", True),
    ],
)
def test_a_command_is_understood_or_not(words: str, understood: bool) -> None:
    assert understands(words.split()) is understood
