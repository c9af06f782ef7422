"""The check types. The contract asserts for others, so its assertions explain themselves as a test's do."""

import pytest

pytest.register_assert_rewrite("tests.checks.contract")
