"""The lines that nginx writes: JSON, and what CloudWatch takes for metrics."""

import contextlib
import json
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.support.front import Front, front
from tests.support.unix_http import Response

TEXT = {"Content-Type": "text/plain"}
FIGURES = {
    "X-batch-size": "3",
    "X-queue-seconds": "0.004",
    "X-texts": "2",
    "X-characters": "9",
    "X-unknown-share": "0.25",
}
ANSWER = Response(200, b"[]", FIGURES)
REFUSAL = Response(400, b"{}", {"X-batch-size": "3", "X-queue-seconds": "0.004"})
FAULT = Response(500, b"{}")
UNHEALTHY = Response(503, b"{}")
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html
UNITS = {"Seconds", "Count", "None"}


@pytest.fixture(scope="module")
def shared(nginx_program: str) -> Iterator[Front]:
    with front(nginx_program) as running:
        yield running


@pytest.fixture
def server(shared: Front) -> Front:
    """One that answers everything, and has logged nothing yet."""
    shared.model, shared.control = lambda _request: ANSWER, lambda _request: Response()
    shared.log.clear()
    return shared


def invoke(server: Front, response: Response = ANSWER, path: str = "/invocations") -> dict[str, Any]:
    """The line of an invocation that is answered so."""
    server.model = lambda _request: response
    server.ask("POST", path, b"what a film", TEXT | {"Cookie": "id=7"})
    (line,) = server.lines(1)
    return line


def metrics(line: dict[str, Any]) -> dict[str, str]:
    """Units of the metrics in a line, which is in embedded metric format.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    metadata = line["_aws"]
    assert set(metadata) == {"Timestamp", "CloudWatchMetrics"}
    assert isinstance(metadata["Timestamp"], int)
    (directive,) = metadata["CloudWatchMetrics"]
    assert set(directive) == {"Namespace", "Dimensions", "Metrics"}
    assert directive["Namespace"] == "SentimentLSTM"
    # One set, and no dimension in it.
    assert directive["Dimensions"] == [[]]
    found = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    assert set(found.values()) <= UNITS
    # Every target is a number of the line itself.
    assert all(type(line[name]) in (int, float) for name in found)
    return found


def test_answered_request(server: Front) -> None:
    line = invoke(server)
    figures = {name: line.pop(name) for name in ("time", "bytes", "latency", "_aws")}
    assert line == {
        "level": "info",
        "source": "request",
        "method": "POST",
        "path": "/invocations",
        "status": 200,
        "requests": 1,
        "errors": 0,
        "batch_size": 3,
        "queue_seconds": 0.004,
        "texts": 2,
        "characters": 9,
        "unknown_share": 0.25,
    }
    assert figures["bytes"] > len(b"what a film")
    assert 0 <= figures["latency"] < 30


def test_refused_request(server: Front) -> None:
    line = invoke(server, REFUSAL)
    assert (line["level"], line["status"], line["errors"]) == ("info", 400, 1)
    assert "texts" not in line


def test_fault_is_an_error(server: Front) -> None:
    line = invoke(server, FAULT)
    assert (line["level"], line["status"], line["errors"]) == ("error", 500, 1)


def test_model_that_does_not_fit_is_no_fault(server: Front) -> None:
    assert invoke(server, Response(507))["level"] == "info"


def test_metrics_of_an_answered_request(server: Front) -> None:
    assert metrics(invoke(server)) == {
        "requests": "Count",
        "errors": "Count",
        "latency": "Seconds",
        "batch_size": "Count",
        "queue_seconds": "Seconds",
        "unknown_share": "None",
    }


@pytest.mark.parametrize("response", [REFUSAL, FAULT])
def test_metrics_of_a_request_that_is_not_answered(server: Front, response: Response) -> None:
    assert metrics(invoke(server, response)) == {"requests": "Count", "errors": "Count", "latency": "Seconds"}


def test_metrics_of_a_request_that_is_nginxs_own(server: Front) -> None:
    server.ask("GET", "/none")
    (line,) = server.lines(1)
    assert (line["status"], set(metrics(line))) == (404, {"requests", "errors", "latency"})


def test_times_are_those_of_the_request(server: Front) -> None:
    before = time.time()
    line = invoke(server)
    assert before - 1 < datetime.fromisoformat(line["time"]).timestamp() < time.time() + 1
    assert before - 0.1 < line["_aws"]["Timestamp"] / 1000 < time.time() + 0.1


def test_nothing_of_the_request_is_in_the_line_but_its_method_and_path(server: Front) -> None:
    invoke(server, path="/invocations?secret")
    for word in ("film", "secret", "id=7", "text/plain", "127.0.0.1"):
        assert word not in server.log[0]


def test_healthy_ping_is_not_logged(server: Front) -> None:
    assert server.ask("GET", "/ping").status == 200
    assert invoke(server)["path"] == "/invocations"


def test_unhealthy_ping_is_logged_without_metrics(server: Front) -> None:
    server.control = lambda _request: UNHEALTHY
    server.ask("GET", "/ping")
    (line,) = server.lines(1)
    assert (line["path"], line["status"], line["level"]) == ("/ping", 503, "error")
    assert "_aws" not in line


@pytest.mark.parametrize(
    ("level", "statuses"),
    [
        ("debug", [200, 400, 500, 404, 405, 503]),
        ("info", [200, 400, 500, 404, 405, 503]),
        ("warning", [400, 500, 404, 405, 503]),
        ("error", [500, 503]),
    ],
)
def test_level_chooses_among_the_requests(nginx_program: str, level: str, statuses: list[int]) -> None:
    with front(nginx_program, SERVE_LOG_LEVEL=level) as server:
        server.control = lambda _request: UNHEALTHY
        answers = iter((ANSWER, REFUSAL, FAULT))
        server.model = lambda _request: next(answers)
        for _ in range(3):
            server.ask("POST", "/invocations")
        for method, path in (("GET", "/none"), ("PUT", "/ping"), ("GET", "/ping")):
            server.ask(method, path)
        assert [line["status"] for line in server.lines(len(statuses))] == statuses


@pytest.mark.parametrize(
    "path",
    ["/%22quote%22", "/back%5Cslash", "/%0A%0D%FF", "/\\", "/'", "//a/./b", "/%7B%22status%22%3A200%7D"],
)
def test_path_is_logged_as_it_came(server: Front, path: str) -> None:
    server.ask("GET", path + "?secret")
    assert [line["path"] for line in server.lines(1)] == [path]


@pytest.mark.parametrize("request_line", [b"\x00", b"GET", b'"', b"GET /%00 HTTP/1.1", b"GET /\xff HTTP/1.1"])
def test_what_is_no_request_is_one_line(server: Front, request_line: bytes) -> None:
    server.send(request_line + b"\r\nHost: x\r\n\r\n")
    (line,) = server.lines(1)
    assert line["status"] in (400, 404)
    assert line["path"] in ("", "/\ufffd")
    metrics(line)


def test_client_that_goes_away_is_one_line(server: Front) -> None:
    with contextlib.closing(server.connect()) as connection:
        connection.putrequest("POST", "/invocations")
        connection.putheader("Content-Length", "10")
        connection.endheaders(b"fin")
    (line,) = server.lines(1)
    assert (line["status"], line["errors"]) == (400, 1)


def test_lines_are_the_log_and_nothing_else(server: Front) -> None:
    """Faults of the servers behind it are in the request log alone."""
    server.model = lambda _request: None
    server.ask("POST", "/invocations")
    assert [line["status"] for line in server.lines(1)] == [503]
    json.loads(server.log[0])
