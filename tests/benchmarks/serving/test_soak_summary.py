"""Summary of a soak."""

from benchmarks.serving.load import Request
from benchmarks.serving.soak_summary import Kill, growth, summarize, summarize_kills

MIB = 2**20


def test_errors_are_counted_by_outcome() -> None:
    requests = [Request(0, 1, outcome) for outcome in ("200", "503", "503", "ClientOSError")]
    assert summarize(requests, [])["errors"] == {"503": 2, "ClientOSError": 1}


def test_p99_is_by_minute() -> None:
    requests = [Request(1000.0 + i, 0.02 if i < 60 else 0.03, "200") for i in range(120)]
    assert summarize(requests, [])["p99_ms_by_minute"] == [20.0, 30.0]


def test_memory_growth_is_in_mib() -> None:
    summary = summarize([Request(0, 0, "200")], [100 * MIB, 300 * MIB, 310 * MIB])
    assert summary["memory_mib_by_minute"] == [100, 300, 310]
    assert summary["memory_mib_growth"] == 10


def test_growth_ignores_the_first_third() -> None:
    assert growth([1, 2, 9, 9, 9, 9]) == 0


def test_growth_needs_three_values() -> None:
    assert growth([1, 2]) is None


def test_killed_worker_may_lose_its_requests() -> None:
    requests = [Request(9.9, 0.2, "500"), Request(9.9, 0.2, "200"), Request(11.0, 0.2, "200")]
    assert summarize_kills(requests, [Kill(10.0, 10.1)]) == {
        "kills": 1,
        "in_flight_by_kill": [2],
        "failed_by_kill": [1],
        "failed_though_due_after_the_kill": 0,
        "failed_before_any_kill": 0,
        "only_those_in_flight_failed": True,
    }


def test_later_requests_must_succeed() -> None:
    summary = summarize_kills([Request(10.2, 0.2, "503")], [Kill(10.0, 10.1)])
    assert summary["failed_though_due_after_the_kill"] == 1
    assert not summary["only_those_in_flight_failed"]


def test_dying_worker_may_get_requests() -> None:
    assert summarize_kills([Request(10.05, 0.01, "500")], [Kill(10.0, 10.1)])["only_those_in_flight_failed"]


def test_failure_counts_for_the_last_kill() -> None:
    kills = [Kill(10.0, 10.1), Kill(20.0, 20.1), Kill(30.0, 30.1)]
    summary = summarize_kills([Request(19.5, 1.0, "500")], kills)
    assert summary["failed_by_kill"] == [0, 1, 0]
    assert summary["in_flight_by_kill"] == [0, 1, 0]


def test_failure_before_any_kill_is_reported() -> None:
    summary = summarize_kills([Request(1.0, 0.2, "500")], [Kill(10.0, 10.1)])
    assert summary["failed_before_any_kill"] == 1
    assert not summary["only_those_in_flight_failed"]


def test_worker_loses_at_most_one_batch() -> None:
    requests = [Request(9.9, 0.2, "500") for _ in range(17)]
    assert not summarize_kills(requests, [Kill(10.0, 10.1)])["only_those_in_flight_failed"]
