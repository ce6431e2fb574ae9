"""Output of the load generators."""

import pytest

from benchmarks.serving.load import Request, parse_requests, parse_wrk

OUTPUT = """Running 10s test @ http://127.0.0.1:8080/invocations
  1 threads and 32 connections
  5 requests in 10.00s
{"seconds": 10.0, "statuses": {"200": 80, "204": 20, "503": 7}, "socket_errors": 2, "timeouts": 0, \
"p50": 12.3456, "p95": 20.0, "p99": 30.0}
"""


def test_throughput_counts_only_2xx() -> None:
    assert parse_wrk(OUTPUT).requests_per_second == 10.0


def test_errors_are_counted_by_status() -> None:
    assert parse_wrk(OUTPUT).errors == {"503": 7, "socket": 2}


def test_latencies_are_in_milliseconds() -> None:
    measurement = parse_wrk(OUTPUT)
    assert (measurement.p50_ms, measurement.p95_ms, measurement.p99_ms) == (12.35, 20.0, 30.0)


def test_no_answer_is_no_throughput() -> None:
    assert parse_wrk(OUTPUT.replace('"200": 80, "204": 20, ', "")).requests_per_second == 0


def test_output_without_result_is_shown() -> None:
    with pytest.raises(SystemExit, match="unable to connect"):
        parse_wrk("unable to connect to 127.0.0.1:8080")


def test_requests_are_sorted_by_due_time() -> None:
    assert parse_requests(["12.5 0.25 200", "12.0 2.0 TimeoutError"]) == [
        Request(12.0, 2.0, "TimeoutError"),
        Request(12.5, 0.25, "200"),
    ]


@pytest.mark.parametrize(("outcome", "failed"), [("200", False), ("503", True), ("ClientOSError", True)])
def test_request_fails_without_2xx(outcome: str, failed: bool) -> None:
    assert Request(0, 0, outcome).failed is failed
