"""Routes of an endpoint with one model, and the headers of requests and answers."""

import contextlib
import json
import os
import threading
import time

import pytest

from serving.settings import Settings
from tests.support.nginx_requests import (
    ANSWER,
    FIGURES,
    MIB,
    TEXT,
    UNHEALTHY,
    busy,
    invoke,
)
from tests.support.running_nginx import RunningNginx, running_nginx
from tests.support.unix_http import Request, Response

REFUSAL = Response(400, b'{"error": "empty"}', {"X-batch-size": "3", "X-queue-seconds": "0.004"})


def test_ping_goes_to_management(server: RunningNginx) -> None:
    server.management = lambda request: Response(200 if request.path == "/ping" else 500)
    assert server.ask("GET", "/ping").status == 200


def test_unhealthy_ping_has_a_reason(server: RunningNginx) -> None:
    server.management = lambda _request: UNHEALTHY
    answer = server.ask("GET", "/ping")
    assert (answer.status, answer.body) == (503, UNHEALTHY.body)


def test_unanswered_ping_is_503(server: RunningNginx) -> None:
    answered = threading.Event()
    server.management = lambda _request: Response() if answered.wait(20) else None
    assert server.ask("GET", "/ping").status == 503
    answered.set()


def test_ping_is_answered_at_the_limit(nginx_program: str) -> None:
    with running_nginx(nginx_program, SERVE_MAX_REQUESTS="1") as server, busy(server, 1):
        assert server.ask("GET", "/ping").status == 200


def test_execution_parameters_come_from_settings(nginx_program: str) -> None:
    settings = Settings.from_environment({"SAGEMAKER_MODEL_SERVER_WORKERS": "1"})
    with running_nginx(nginx_program, SAGEMAKER_MODEL_SERVER_WORKERS="1") as server:
        answer = server.ask("GET", "/execution-parameters")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert json.loads(answer.body) == {
        "MaxConcurrentTransforms": settings.transforms,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": settings.transform_mb,
    }


def test_invocation_goes_to_the_model(server: RunningNginx) -> None:
    answer = invoke(server, b"a fine film")
    assert (answer.status, answer.body) == (200, ANSWER.body)
    (request,) = server.asked
    assert (request.method, request.path, request.body) == ("POST", "/predictions/model", b"a fine film")


def test_query_is_dropped(server: RunningNginx) -> None:
    assert server.ask("POST", "/invocations?model_name=x&body=y", b"", TEXT).status == 200
    assert server.asked[0].path == "/predictions/model"


def test_contract_headers_are_forwarded(server: RunningNginx) -> None:
    invoke(server, Accept="text/csv", X_Amzn_SageMaker_Custom_Attributes="trace=1")
    headers = server.asked[0].headers
    assert headers["content-type"] == "text/plain"
    assert headers["accept"] == "text/csv"
    assert headers["x-amzn-sagemaker-custom-attributes"] == "trace=1"


def test_unknown_headers_are_dropped(server: RunningNginx) -> None:
    many = {f"X-{i}": "x" for i in range(200)}
    invoke(server, Cookie="a=b", Authorization="Basic eA==", Expect="", Transfer="x", **many)
    assert set(server.asked[0].headers) == {"host", "content-type", "content-length", "x-received"}


def test_time_of_arrival_is_nginxs(server: RunningNginx) -> None:
    before = time.time()
    invoke(server, X_Received="1")
    assert before - 0.1 < float(server.asked[0].headers["x-received"]) < time.time() + 0.1


def test_chunked_body_is_forwarded_whole(server: RunningNginx) -> None:
    assert server.ask("POST", "/invocations", iter([b"a ", b"fine film"]), TEXT).status == 200
    assert server.asked[0].body == b"a fine film"


def test_answer_headers_are_forwarded(server: RunningNginx) -> None:
    server.model = lambda _request: Response(
        200, b"", {"Content-Type": "text/csv", "X-Amzn-SageMaker-Custom-Attributes": "a"}
    )
    answer = invoke(server)
    assert answer.headers["content-type"] == "text/csv"
    assert answer.headers["x-amzn-sagemaker-custom-attributes"] == "a"


def test_log_figures_are_hidden_from_clients(server: RunningNginx) -> None:
    server.model = lambda _request: Response(
        200, b"", FIGURES | {"x-request-id": "1", "Pragma": "no-cache", "Cache-Control": "no", "Expires": "0"}
    )
    assert set(invoke(server).headers) == {"server", "date", "content-length", "connection"}


def test_refusal_is_forwarded(server: RunningNginx) -> None:
    server.model = lambda _request: REFUSAL
    answer = invoke(server)
    assert (answer.status, answer.body) == (400, REFUSAL.body)


def test_large_answer_is_forwarded(server: RunningNginx) -> None:
    body = os.urandom(8 * MIB)
    server.model = lambda _request: Response(200, body)
    assert invoke(server).body == body


@pytest.mark.parametrize("status", [200, 400, 404, 405])
def test_connection_survives_every_status(server: RunningNginx, status: int) -> None:
    server.model = lambda _request: Response(status)
    path = {404: "/none", 405: "/ping"}.get(status, "/invocations")
    with contextlib.closing(server.connect()) as connection:
        for expected in ("/invocations", path, "/invocations"):
            connection.request("POST", expected, b"fine", TEXT)
            connection.getresponse().read()
            assert connection.sock is not None


def test_half_closed_client_gets_its_answer(server: RunningNginx) -> None:
    request = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nfine"
    assert server.send(request).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("status", [200, 503])
def test_head_ping_is_ping_without_body(server: RunningNginx, status: int) -> None:
    methods: list[str] = []

    def ping(request: Request) -> Response:
        methods.append(request.method)
        return Response(status, b"{}")

    server.management = ping
    answer = server.ask("HEAD", "/ping")
    assert (answer.status, answer.body, methods) == (status, b"", ["GET"])


def test_scrape_has_the_requests_in_flight(server: RunningNginx) -> None:
    counts: list[str] = []

    def scrape(request: Request) -> Response:
        counts.append(request.headers["x-in-flight"])
        return Response()

    server.management = scrape
    with busy(server, 2):
        server.ask("GET", "/metrics")
    server.ask("GET", "/metrics")
    assert counts == ["3", "1"]


def test_scrape_keeps_its_content_type(server: RunningNginx) -> None:
    content_type = "text/plain; version=0.0.4; charset=utf-8"
    server.management = lambda _request: Response(200, b"x 1\n", {"Content-Type": content_type})
    answer = server.ask("GET", "/metrics")
    assert (answer.body, answer.headers["content-type"]) == (b"x 1\n", content_type)
