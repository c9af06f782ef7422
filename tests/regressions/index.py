"""What tools of this kind have shipped, each beside the tests that fail where it is true of this one."""

from collections.abc import Mapping, Sequence
from typing import Final

SCHEDULER: Final = "tests/runtime/test_scheduler.py"
REGRESSIONS: Final[Mapping[str, Sequence[str]]] = {
    "a reload that is rejected stops serving": (
        "tests/process/test_reload.py::test_a_refused_file_changes_nothing_but_a_log_line_and_a_metric",
        "tests/process/test_reload.py::test_a_half_written_file_is_not_taken",
    ),
    "a slow notification blocks checks": (
        "tests/regressions/test_regressions.py::test_an_app_that_is_slow_to_be_notified_holds_up_no_check",
        "tests/process/test_events.py::test_an_api_that_hangs_delays_neither_checks_nor_probes_nor_the_end",
    ),
    "fifty first requests run the suite fifty times": (
        "tests/regressions/test_regressions.py::test_fifty_first_requests_ask_the_dependency_once",
    ),
    "results never expire": (
        "tests/web/test_site.py::test_no_result_yet_and_stale_results_fail_readiness",
        "tests/core/test_state_model.py::History.no_result_is_stale_before_the_next_run_could_have_replaced_it",
    ),
    "the scheduler's task dies, and the last 200 stays": (
        "tests/regressions/test_regressions.py::test_a_loop_that_dies_takes_the_last_200_with_it",
        f"{SCHEDULER}::test_a_crash_of_a_loop_of_ours_ends_the_group_loudly_and_closes_every_check",
        "tests/web/test_site.py::test_healthz_fails_when_a_loop_of_ours_is_late_and_no_check_ever_counts",
    ),
    "/metrics turns 503 with the health": (
        "tests/web/test_site.py::test_metrics_are_200_whatever_the_health_is",
    ),
    "the password is in the label of a metric": (
        "tests/metrics/test_metrics.py::test_no_message_of_a_failure_becomes_a_label",
        "tests/process/test_secrets.py::test_no_secret_appears_on_any_surface",
    ),
    "a ConfigMap that is swapped is not seen": (
        "tests/process/test_reload.py::test_a_swapped_config_map_adds_removes_and_keeps_checks",
    ),
    "HEAD bucket is asked of a writer who may only PutObject": (
        "tests/checks/test_s3.py::TestOnTheWire.test_put_is_one_request_on_one_connection",
    ),
    "a connection is opened for every probe": (
        "tests/regressions/test_regressions.py::test_a_probe_opens_no_connection",
        "tests/checks/test_redis.py::test_a_hundred_runs_use_one_connection_and_leave_no_key",
    ),
    "a line is logged for every probe": (
        "tests/regressions/test_regressions.py::test_a_probe_is_no_line_of_the_log",
    ),
    "a server that closes after every answer makes a storm of runs": (
        f"{SCHEDULER}::test_a_server_that_closes_after_every_answer_is_asked_once_a_second",
    ),
}
"""The promise that was broken, and where its tests are: file, and name in it."""
