"""Lines of the request log: JSON with CloudWatch's embedded metrics."""

import contextlib
import io
import json
import time
from datetime import datetime
from typing import Any

import pytest

from serving.logs import Log
from tests.support.nginx_requests import FIGURES, TEXT
from tests.support.running_nginx import RunningNginx, running_nginx
from tests.support.unix_http import Response

ANSWER = Response(200, b"[]", FIGURES)
REFUSAL = Response(400, b"{}", {"X-batch-size": "3", "X-queue-seconds": "0.004"})
FAULT = Response(500, b"{}")
UNHEALTHY = Response(503, b"{}")
STARTING = Response(503, b"{}", {"X-Starting": "1"})
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html
UNITS = {"Seconds", "Count", "None"}


@pytest.fixture
def server(shared: RunningNginx) -> RunningNginx:
    """A server that answers every request, with an empty log."""
    shared.model, shared.management = lambda _request: ANSWER, lambda _request: Response()
    shared.log.clear()
    return shared


def invoke(server: RunningNginx, response: Response = ANSWER, path: str = "/invocations") -> dict[str, Any]:
    """The log line of an invocation with this answer."""
    server.model = lambda _request: response
    server.ask("POST", path, b"what a film", TEXT | {"Cookie": "id=7"})
    (line,) = server.lines(1)
    return line


def metrics(line: dict[str, Any]) -> dict[str, str]:
    """Units of the metrics in a line in embedded metric format.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    metadata = line["_aws"]
    assert set(metadata) == {"Timestamp", "CloudWatchMetrics"}
    assert isinstance(metadata["Timestamp"], int)
    (directive,) = metadata["CloudWatchMetrics"]
    assert set(directive) == {"Namespace", "Dimensions", "Metrics"}
    assert directive["Namespace"] == "Toy"
    # One set without dimensions.
    assert directive["Dimensions"] == [[]]
    units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    assert set(units.values()) <= UNITS
    # Each metric names a number of the same line.
    assert all(type(line[name]) in (int, float) for name in units)
    return units


def test_answered_request_has_all_fields(server: RunningNginx) -> None:
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
        "longest": 0.25,
    }
    assert figures["bytes"] > len(b"what a film")
    assert 0 <= figures["latency"] < 30


def test_refused_request_has_no_figures(server: RunningNginx) -> None:
    line = invoke(server, REFUSAL)
    assert (line["level"], line["status"], line["errors"]) == ("info", 400, 1)
    assert "texts" not in line


def test_fault_is_an_error(server: RunningNginx) -> None:
    line = invoke(server, FAULT)
    assert (line["level"], line["status"], line["errors"]) == ("error", 500, 1)


def test_status_507_is_no_error(server: RunningNginx) -> None:
    assert invoke(server, Response(507))["level"] == "info"


def test_metrics_of_answered_request(server: RunningNginx) -> None:
    assert metrics(invoke(server)) == {
        "requests": "Count",
        "errors": "Count",
        "latency": "Seconds",
        "batch_size": "Count",
        "queue_seconds": "Seconds",
        "longest": "None",
    }


@pytest.mark.parametrize("response", [REFUSAL, FAULT])
def test_metrics_of_unanswered_request(server: RunningNginx, response: Response) -> None:
    assert metrics(invoke(server, response)) == {"requests": "Count", "errors": "Count", "latency": "Seconds"}


def test_metrics_of_answer_by_nginx(server: RunningNginx) -> None:
    server.ask("GET", "/none")
    (line,) = server.lines(1)
    assert (line["status"], set(metrics(line))) == (404, {"requests", "errors", "latency"})


def test_times_are_the_requests(server: RunningNginx) -> None:
    before = time.time()
    line = invoke(server)
    assert before - 1 < datetime.fromisoformat(line["time"]).timestamp() < time.time() + 1
    assert before - 0.1 < line["_aws"]["Timestamp"] / 1000 < time.time() + 0.1


def test_line_holds_no_content_of_request(server: RunningNginx) -> None:
    invoke(server, path="/invocations?secret")
    for word in ("film", "secret", "id=7", "text/plain", "127.0.0.1"):
        assert word not in server.log[0]


def test_healthy_ping_is_not_logged(server: RunningNginx) -> None:
    assert server.ask("GET", "/ping").status == 200
    assert invoke(server)["path"] == "/invocations"


@pytest.mark.parametrize("response", [Response(), UNHEALTHY, None])
def test_scrape_is_not_logged(server: RunningNginx, response: Response | None) -> None:
    server.management = lambda _request: response
    assert server.ask("GET", "/metrics?x").status == (response.status if response else 503)
    assert invoke(server)["path"] == "/invocations"


def test_other_method_on_metrics_is_logged(server: RunningNginx) -> None:
    server.ask("PUT", "/metrics")
    assert [(line["path"], line["status"]) for line in server.lines(1)] == [("/metrics", 405)]


def test_unhealthy_ping_has_no_metrics(server: RunningNginx) -> None:
    server.management = lambda _request: UNHEALTHY
    server.ask("GET", "/ping")
    (line,) = server.lines(1)
    assert (line["path"], line["status"], line["level"]) == ("/ping", 503, "error")
    assert "_aws" not in line
    assert line["source"] == "ping"  # alarms filter requests


def test_ping_during_start_is_no_error(server: RunningNginx) -> None:
    server.management = lambda _request: STARTING
    answer = server.ask("GET", "/ping")
    (line,) = server.lines(1)
    assert (line["status"], line["level"], line["source"]) == (503, "info", "ping")
    assert "x-starting" not in answer.headers


@pytest.mark.parametrize(
    ("level", "statuses"),
    [
        ("debug", [200, 400, 500, 507, 404, 405, 503, 503]),
        ("info", [200, 400, 500, 507, 404, 405, 503, 503]),
        ("warning", [400, 500, 507, 404, 405, 503]),
        ("error", [500, 507, 503]),
    ],
)
def test_level_filters_requests_by_status(
    nginx_program: str, capfd: pytest.CaptureFixture[str], level: str, statuses: list[int]
) -> None:
    """From nginx through the relay to stdout."""
    with running_nginx(nginx_program, SERVE_LOG_LEVEL=level) as server:
        answers = iter((ANSWER, REFUSAL, FAULT, Response(507)))
        server.model = lambda _request: next(answers)
        for _ in range(4):
            server.ask("POST", "/invocations")
        for method, path in (("GET", "/none"), ("PUT", "/ping")):
            server.ask(method, path)
        pings = iter((STARTING, UNHEALTHY))
        server.management = lambda _request: next(pings)
        server.ask("GET", "/ping")
        server.ask("GET", "/ping")
        server.lines(8)
        Log(level).relay(io.StringIO("".join(server.log)), "nginx", "info").join()
    lines = capfd.readouterr().out.splitlines()
    assert [json.loads(line)["status"] for line in lines] == statuses


@pytest.mark.parametrize(
    "path",
    ["/%22quote%22", "/back%5Cslash", "/%0A%0D%FF", "/\\", "/'", "//a/./b", "/%7B%22status%22%3A200%7D"],
)
def test_path_is_logged_unchanged(server: RunningNginx, path: str) -> None:
    server.ask("GET", path + "?secret")
    assert [line["path"] for line in server.lines(1)] == [path]


@pytest.mark.parametrize("request_line", [b"\x00", b"GET", b'"', b"GET /%00 HTTP/1.1", b"GET /\xff HTTP/1.1"])
def test_malformed_request_is_one_line(server: RunningNginx, request_line: bytes) -> None:
    server.send(request_line + b"\r\nHost: x\r\n\r\n")
    (line,) = server.lines(1)
    assert line["status"] in (400, 404)
    assert line["path"] in ("", "/\ufffd")
    metrics(line)


def test_aborted_request_is_one_line(server: RunningNginx) -> None:
    with contextlib.closing(server.connect()) as connection:
        connection.putrequest("POST", "/invocations")
        connection.putheader("Content-Length", "10")
        connection.endheaders(b"fin")
    (line,) = server.lines(1)
    assert (line["status"], line["errors"]) == (400, 1)


def test_upstream_fault_is_one_line(server: RunningNginx) -> None:
    """A fault of an upstream appears only in the request log."""
    server.model = lambda _request: None
    server.ask("POST", "/invocations")
    assert [line["status"] for line in server.lines(1)] == [503]
    json.loads(server.log[0])
