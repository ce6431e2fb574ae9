"""What is made of requests that were sent at a constant rate."""

import pytest

from benchmarks.serving.constant_rate import Request, parse
from benchmarks.serving.holding import Kill, growth, percentile, summarize, summarize_kills

MIB = 2**20


def test_requests_are_read_in_the_order_in_which_they_were_due() -> None:
    assert parse(["12.5 0.25 200", "12.0 2.0 TimeoutError"]) == [
        Request(12.0, 2.0, "TimeoutError"),
        Request(12.5, 0.25, "200"),
    ]


@pytest.mark.parametrize(("outcome", "failed"), [("200", False), ("503", True), ("ClientOSError", True)])
def test_only_2xx_is_no_failure(outcome: str, failed: bool) -> None:
    assert Request(0, 0, outcome).failed is failed


def test_errors_are_counted_by_kind() -> None:
    requests = [Request(0, 1, outcome) for outcome in ("200", "503", "503", "ClientOSError")]
    assert summarize(requests, [])["errors"] == {"503": 2, "ClientOSError": 1}


def test_p99_is_that_of_each_minute() -> None:
    requests = [Request(1000.0 + i, 0.02 if i < 60 else 0.03, "200") for i in range(120)]
    assert summarize(requests, [])["p99_ms_by_minute"] == [20.0, 30.0]


def test_memory_that_grows_is_seen() -> None:
    found = summarize([Request(0, 0, "200")], [100 * MIB, 300 * MIB, 310 * MIB])
    assert found["memory_mib_by_minute"] == [100, 300, 310]
    assert found["memory_mib_growth"] == 10


def test_the_first_third_is_no_growth() -> None:
    assert growth([1, 2, 9, 9, 9, 9]) == 0


def test_too_few_samples_tell_nothing() -> None:
    assert growth([1, 2]) is None


def test_percentile_of_a_hundred() -> None:
    assert percentile(list(range(100, 0, -1)), 99) == 99


def test_percentile_of_one() -> None:
    assert percentile([7.0], 99) == 7.0


def test_a_request_on_the_killed_worker_may_fail() -> None:
    requests = [Request(9.9, 0.2, "500"), Request(9.9, 0.2, "200"), Request(11.0, 0.2, "200")]
    assert summarize_kills(requests, [Kill(10.0, 10.1)]) == {
        "kills": 1,
        "in_flight_by_kill": [2],
        "failed_by_kill": [1],
        "failed_though_due_after_the_kill": 0,
        "failed_before_any_kill": 0,
        "only_those_in_flight_failed": True,
    }


def test_a_request_that_came_after_the_kill_must_not_fail() -> None:
    found = summarize_kills([Request(10.2, 0.2, "503")], [Kill(10.0, 10.1)])
    assert found["failed_though_due_after_the_kill"] == 1
    assert not found["only_those_in_flight_failed"]


def test_a_worker_may_get_requests_until_it_is_gone() -> None:
    assert summarize_kills([Request(10.05, 0.01, "500")], [Kill(10.0, 10.1)])["only_those_in_flight_failed"]


def test_a_failure_counts_for_the_last_kill_before_it() -> None:
    found = summarize_kills(
        [Request(19.5, 1.0, "500")], [Kill(10.0, 10.1), Kill(20.0, 20.1), Kill(30.0, 30.1)]
    )
    assert found["failed_by_kill"] == [0, 1, 0]
    assert found["in_flight_by_kill"] == [0, 1, 0]


def test_a_failure_before_any_kill_is_no_consequence_of_one() -> None:
    found = summarize_kills([Request(1.0, 0.2, "500")], [Kill(10.0, 10.1)])
    assert found["failed_before_any_kill"] == 1
    assert not found["only_those_in_flight_failed"]


def test_more_failures_than_a_worker_has_requests() -> None:
    requests = [Request(9.9, 0.2, "500") for _ in range(17)]
    assert not summarize_kills(requests, [Kill(10.0, 10.1)])["only_those_in_flight_failed"]
