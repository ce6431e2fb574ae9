"""What is read from wrk's output."""

import pytest

from benchmarks.serving.wrk import parse

OUTPUT = """Running 10s test @ http://127.0.0.1:8080/invocations
  1 threads and 32 connections
  5 requests in 10.00s
{"seconds": 10.0, "statuses": {"200": 80, "204": 20, "503": 7}, "socket_errors": 2, "timeouts": 0, \
"p50": 12.3456, "p95": 20.0, "p99": 30.0}
"""


def test_only_2xx_count() -> None:
    assert parse(OUTPUT, 1.0).requests_per_second == 10.0


def test_everything_else_is_an_error() -> None:
    assert parse(OUTPUT, 1.0).errors == {"503": 7, "socket": 2}


def test_latencies_are_in_milliseconds() -> None:
    measurement = parse(OUTPUT, 1.0)
    assert (measurement.p50_ms, measurement.p95_ms, measurement.p99_ms) == (12.35, 20.0, 30.0)


def test_cpu_time_is_shared_among_the_answers() -> None:
    assert parse(OUTPUT, 0.5).cpu_ms_per_answer == 5.0


def test_no_answer_at_all() -> None:
    measurement = parse(OUTPUT.replace('"200": 80, "204": 20, ', ""), 0.5)
    assert measurement.requests_per_second == 0
    assert measurement.cpu_ms_per_answer is None


def test_output_without_a_result_is_shown() -> None:
    with pytest.raises(SystemExit, match="unable to connect"):
        parse("unable to connect to 127.0.0.1:8080", 1.0)
