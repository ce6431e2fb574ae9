"""Routes and limits of the rendered configuration, in the real nginx."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from serving import nginx
from serving.settings import Settings
from tests.support.programs import free_port
from tests.support.running_nginx import RunningNginx, running_nginx
from tests.support.unix_http import Request, Response

MIB = 2**20
TEXT = {"Content-Type": "text/plain"}
FIGURES = {
    "X-batch-size": "3",
    "X-queue-seconds": "0.004",
    "X-texts": "2",
    "X-characters": "9",
    "X-longest": "0.25",
}
ANSWER = Response(200, b'[{"label": "positive"}]', {"Content-Type": "application/json", **FIGURES})
REFUSAL = Response(400, b'{"error": "empty"}', {"X-batch-size": "3", "X-queue-seconds": "0.004"})
UNHEALTHY = Response(503, b'{"error": "no worker has loaded the model"}')


@pytest.fixture(scope="module")
def shared(nginx_program: str) -> Iterator[RunningNginx]:
    with running_nginx(nginx_program) as running:
        yield running


@pytest.fixture
def server(shared: RunningNginx) -> RunningNginx:
    """A server with default settings that answers every request."""
    shared.model, shared.management = lambda _request: ANSWER, lambda _request: Response()
    shared.asked.clear()
    return shared


@pytest.fixture(scope="module")
def many_models(nginx_program: str) -> Iterator[RunningNginx]:
    with running_nginx(nginx_program, SAGEMAKER_MULTI_MODEL="true") as running:
        yield running


@pytest.fixture
def multi(many_models: RunningNginx) -> RunningNginx:
    """A multi-model server whose upstreams answer with the request."""

    def echo(name: str, request: Request) -> Response:
        content = [name, request.method, request.path, request.body.decode()]
        return Response(200, json.dumps(content).encode())

    many_models.model = partial(echo, "model")
    many_models.management = partial(echo, "management")
    return many_models


def invoke(server: RunningNginx, body: Any = b"fine", **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.ask("POST", "/invocations", body, TEXT | named)


def error(response: Response) -> str:
    """The reason in an answer of nginx itself."""
    assert response.headers["content-type"] == "application/json"
    content: dict[str, str] = json.loads(response.body)
    assert list(content) == ["error"]
    return content["error"]


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"SAGEMAKER_MULTI_MODEL": "true"},
        {"SAGEMAKER_BATCH": "true"},
        {"SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"},
        {"SAGEMAKER_MAX_PAYLOAD_IN_MB": "2047"},
        {"SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": "86400"},
        {"SERVE_LOG_LEVEL": "debug"},
        {"SERVE_LOG_LEVEL": "error"},
    ],
    ids=str,
)
def test_configuration_is_valid(nginx_program: str, tmp_path: Path, environment: dict[str, str]) -> None:
    settings = Settings.from_environment({"SAGEMAKER_BIND_TO_PORT": str(free_port())} | environment)
    (tmp_path / "nginx.conf").write_text(nginx.configuration(settings, tmp_path))
    result = subprocess.run(
        [*nginx.command(nginx_program, tmp_path), "-t"], capture_output=True, text=True, check=False
    )
    assert (result.returncode, "warn" in result.stderr) == (0, False), result.stderr


def test_binary_is_found_outside_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = nginx.find()
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert nginx.find() == expected


def test_taken_port_is_an_error(nginx_program: str, tmp_path: Path, server: RunningNginx) -> None:
    settings = Settings.from_environment({"SAGEMAKER_BIND_TO_PORT": str(server.port)})
    (tmp_path / "nginx.conf").write_text(nginx.configuration(settings, tmp_path))
    result = subprocess.run(
        nginx.command(nginx_program, tmp_path), capture_output=True, text=True, timeout=30, check=False
    )
    assert result.returncode == 1
    assert "Address already in use" in result.stderr


@pytest.mark.skipif(not nginx.can_switch_user(), reason="needs root's capabilities")
def test_client_process_is_not_root(server: RunningNginx) -> None:
    (worker,) = psutil.Process(server.process.pid).children()
    assert 0 not in worker.uids() + worker.gids()


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


def test_nginx_version_is_hidden(server: RunningNginx) -> None:
    assert invoke(server).headers["server"] == "nginx"


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


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "OPTIONS"])
@pytest.mark.parametrize(
    "path",
    [
        *("/", "/ping/", "/invocations/", "/invocations/x", "/Ping", "/models", "/models/model"),
        *("/models/model/invoke", "/predictions/model", "/model/predict", "/api-description"),
        *("/control.sock", "/nginx.conf", "/-400", "/%70ing%00x", "//x", "//ping"),
    ],
)
def test_unknown_path_is_404(server: RunningNginx, method: str, path: str) -> None:
    answer = server.ask(method, path)
    assert answer.status in (404, 400 if "%00" in path else 404)
    assert error(answer)
    assert server.asked == []


def test_reason_of_404_names_the_routes(server: RunningNginx) -> None:
    assert error(server.ask("GET", "/none")) == (
        "no such route; expected GET or HEAD /ping, GET /metrics, POST /invocations, "
        "GET /execution-parameters"
    )


ROUTES = [
    ("/ping", "GET, HEAD"),
    ("/metrics", "GET"),
    ("/invocations", "POST"),
    ("/execution-parameters", "GET"),
]


@pytest.mark.parametrize(("path", "allowed"), ROUTES)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "X"])
def test_unknown_method_is_405(server: RunningNginx, path: str, allowed: str, method: str) -> None:
    answer = server.ask(method, path)
    if method in allowed.split(", "):
        assert (answer.status, "allow" in answer.headers) == (200, False)
    else:
        assert (answer.status, answer.headers.get("allow")) == (405, allowed)
        assert "Allow" in error(answer)


def test_trace_of_unknown_path_is_404(server: RunningNginx) -> None:
    assert server.ask("TRACE", "/none").status == 404


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


def test_head_of_other_route_is_405(server: RunningNginx) -> None:
    answer = server.ask("HEAD", "/invocations")
    assert (answer.status, answer.headers["allow"], answer.body) == (405, "POST", b"")


@pytest.mark.parametrize(
    "request_line",
    [
        b"",
        b"\x00\x01\x02",
        b"GET",
        b"GET  HTTP/1.1",
        b"GET /ping HTTP/9.9",
        b"GET /../ HTTP/1.1",
        b"get /ping HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"CONNECT x:1 HTTP/1.1",
        b"GET /%00 HTTP/1.1",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_malformed_request_line_is_400(server: RunningNginx, request_line: bytes) -> None:
    answer = server.send(request_line + b"\r\nHost: x\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    if answer:
        assert head.split()[1] in (b"400", b"405")
        assert json.loads(body)["error"]
    assert server.ask("GET", "/ping").status == 200


@pytest.mark.parametrize(
    "headers",
    [
        b"Host: x\r\nHost: y\r\n",
        b"Content-Length: 1\r\nContent-Length: 2\r\nHost: x\r\n",
        b"Content-Length: x\r\nHost: x\r\n",
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\nHost: x\r\n",
        b"Transfer-Encoding: gzip\r\nHost: x\r\n",
        b"",
        b"X: " + b"x" * 20_000 + b"\r\nHost: x\r\n",
        b"X: x\r\n" * 10_000 + b"Host: x\r\n",
    ],
    ids=range(8),
)
def test_malformed_headers_are_400(server: RunningNginx, headers: bytes) -> None:
    answer = server.send(b"POST /invocations HTTP/1.1\r\n" + headers + b"\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] == b"400"
    assert json.loads(body)["error"]
    assert server.asked == []


def test_too_long_path_is_414(server: RunningNginx) -> None:
    answer = server.ask("GET", "/" + "x" * 20_000)
    assert (answer.status, error(answer)) == (414, "the path is too long")


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 25 * MIB])
def test_body_within_limit_is_forwarded(server: RunningNginx, size: int) -> None:
    body = os.urandom(size)
    assert invoke(server, body).status == 200
    assert server.asked[0].body == body


def test_body_beyond_limit_is_413(server: RunningNginx) -> None:
    answer = server.send(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 26214401\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] == b"413"
    assert "larger than allowed" in json.loads(body)["error"]
    assert server.asked == []


def test_chunked_body_beyond_limit_is_413(nginx_program: str) -> None:
    with running_nginx(nginx_program, SAGEMAKER_MAX_PAYLOAD_IN_MB="6") as server:
        chunks = b"%x\r\n%s\r\n" % (MIB, b"x" * MIB) * 7
        head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        with socket.create_connection(("127.0.0.1", server.port), 60) as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(head + chunks)
            assert connection.recv(12) == b"HTTP/1.1 413"
        assert server.asked == []


def test_limit_0_accepts_any_size(nginx_program: str) -> None:
    with running_nginx(nginx_program, SAGEMAKER_MAX_PAYLOAD_IN_MB="0") as server:
        assert invoke(server, b"x" * (26 * MIB)).status == 200


@contextlib.contextmanager
def busy(server: RunningNginx, count: int, size: int = 4, *, chunked: bool = False) -> Iterator[None]:
    """Keep ``count`` requests in flight while the block runs; each is answered."""
    done = threading.Event()
    server.model = lambda _request: ANSWER if done.wait(30) else None
    with ThreadPoolExecutor(count) as pool:
        body = b"x" * size
        answers = [pool.submit(invoke, server, iter([body]) if chunked else body) for _ in range(count)]
        try:
            while len(server.asked) < count:
                time.sleep(0.01)
            yield
        finally:
            done.set()
        assert [answer.result().status for answer in answers] == [200] * count


def assert_is_told_to_come_back(answer: Response) -> None:
    assert (answer.status, answer.headers.get("retry-after")) == (503, "1")
    assert error(answer) == "too many requests at a time, or the model is not ready; try again"


def test_requests_beyond_limit_are_503(nginx_program: str) -> None:
    with running_nginx(nginx_program, SERVE_MAX_REQUESTS="3") as server:
        with busy(server, 3):
            assert_is_told_to_come_back(invoke(server))
        assert invoke(server).status == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_large_requests_have_their_own_limit(nginx_program: str, *, chunked: bool) -> None:
    with (
        running_nginx(nginx_program, SERVE_MAX_LARGE_REQUESTS="1") as server,
        busy(server, 1, 1_000_000, chunked=chunked),
    ):
        assert_is_told_to_come_back(invoke(server, iter([b"x"]) if chunked else b"x" * 1_000_000))


def test_small_request_passes_a_large_one(nginx_program: str) -> None:
    with running_nginx(nginx_program, SERVE_MAX_LARGE_REQUESTS="1") as server, ThreadPoolExecutor(1) as pool:
        with busy(server, 1, 1_000_000):
            small = pool.submit(invoke, server, b"x" * 999_999)
            # Now both are in flight.
            while len(server.asked) < 2:
                assert not small.done()
                time.sleep(0.01)
        assert small.result().status == 200


@pytest.mark.parametrize("model", [None, Response(503, b'{"code": 503}')], ids=["hangs up", "503"])
def test_failing_model_server_is_503(server: RunningNginx, model: Response | None) -> None:
    server.model = lambda _request: model
    answer = invoke(server)
    assert (answer.status, answer.headers.get("retry-after")) == (503, "1")
    assert json.loads(answer.body)


def test_missing_model_server_is_503(nginx_program: str) -> None:
    with running_nginx(nginx_program) as server:
        server.folder.joinpath("mms.sock").unlink()
        assert_is_told_to_come_back(invoke(server))


def test_retry_after_is_for_503_only(server: RunningNginx) -> None:
    assert "retry-after" not in server.ask("GET", "/none").headers
    assert "retry-after" not in invoke(server).headers


def test_stop_answers_requests_in_flight(nginx_program: str) -> None:
    with running_nginx(nginx_program) as server:
        with busy(server, 2):
            server.process.send_signal(3)
            while server.connects():
                time.sleep(0.01)
        assert server.process.wait(10) == 0


def test_stop_does_not_await_idle_clients(nginx_program: str) -> None:
    with running_nginx(nginx_program) as server, contextlib.closing(server.connect()) as connection:
        connection.request("GET", "/ping")
        connection.getresponse().read()
        assert server.quit() == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/models"), ("GET", "/models/a.b-C_1"), ("DELETE", "/models/a"), ("POST", "/models")],
)
def test_multi_model_routes_go_to_management(multi: RunningNginx, method: str, path: str) -> None:
    path += "?next_page_token=1"
    assert json.loads(multi.ask(method, path, b"{}").body) == ["management", method, path, "{}"]


def test_invocation_goes_to_its_model(multi: RunningNginx) -> None:
    answer = multi.ask("POST", "/models/a.b-C_1/invoke?x=y", b"fine")
    assert json.loads(answer.body) == ["model", "POST", "/predictions/a.b-C_1", "fine"]


def test_multi_model_ping_goes_to_management(multi: RunningNginx) -> None:
    assert json.loads(multi.ask("GET", "/ping").body) == ["management", "GET", "/ping", ""]


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/ping", "GET, HEAD"),
        ("/metrics", "GET"),
        ("/models", "GET, POST"),
        ("/models/a", "GET, DELETE"),
        ("/models/a/invoke", "POST"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "GETX"])
def test_unknown_multi_model_method_is_405(multi: RunningNginx, path: str, allowed: str, method: str) -> None:
    answer = multi.ask(method, path)
    expected = (200, None) if method in allowed.split(", ") else (405, allowed)
    assert (answer.status, answer.headers.get("allow")) == expected


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/invocations", "/execution-parameters", "/predictions/a", "/a/predict", "/api-description"),
        *("/models/", "/models/a/", "/models/a/b", "/models/a/invoke/", "/models/a%20b"),
        *("/models/a%2Fb", "/models/%C3%A9", "/models/a/scale", "/models/../invoke"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_unknown_multi_model_path_is_404(multi: RunningNginx, method: str, path: str) -> None:
    assert "/models/NAME/invoke" in error(multi.ask(method, path))


@pytest.mark.parametrize(("size", "status"), [(65_536, 200), (65_537, 413)])
def test_load_request_has_small_limit(multi: RunningNginx, size: int, status: int) -> None:
    assert multi.ask("POST", "/models", b"x" * size).status == status


def test_multi_model_invocation_may_be_large(multi: RunningNginx) -> None:
    assert multi.ask("POST", "/models/a/invoke", b"x" * MIB).status == 200


def test_limit_covers_all_models_together(nginx_program: str) -> None:
    with running_nginx(nginx_program, SAGEMAKER_MULTI_MODEL="true", SERVE_MAX_REQUESTS="1") as server:
        done = threading.Event()
        server.model = lambda _request: Response() if done.wait(30) else None
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(server.ask, "POST", "/models/a/invoke")
            while not server.asked:
                time.sleep(0.01)
            assert_is_told_to_come_back(server.ask("POST", "/models/b/invoke"))
            assert server.ask("GET", "/models").status == 200
            done.set()
            assert first.result().status == 200


def test_request_before_registration_is_503(nginx_program: str) -> None:
    with running_nginx(nginx_program) as server:
        (server.folder / "routes" / "model").unlink()
        assert_is_told_to_come_back(invoke(server))
        assert server.asked == []


def test_request_to_unloaded_model_is_404(multi: RunningNginx) -> None:
    answer = multi.ask("POST", "/models/none/invoke", b"fine")
    assert (answer.status, error(answer)) == (404, "no such model; load it with POST /models")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip"])
def test_compressed_body_is_415(server: RunningNginx, encoding: str) -> None:
    answer = invoke(server, Content_Encoding=encoding)
    assert (answer.status, error(answer)) == (
        415,
        "the body has a Content-Encoding; send it without compression",
    )
    assert server.asked == []


@pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
def test_uncompressed_body_is_answered(server: RunningNginx, encoding: str) -> None:
    assert invoke(server, Content_Encoding=encoding).status == 200


@pytest.mark.parametrize("header", ["If-Match", "If-Unmodified-Since"])
def test_precondition_failure_is_json(server: RunningNginx, header: str) -> None:
    value = {"If-Match": '"x"', "If-Unmodified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"}[header]
    answer = server.ask("GET", "/execution-parameters", headers={header: value})
    assert answer.status == 412
    assert error(answer)


def test_body_that_cannot_be_stored_is_json(nginx_program: str) -> None:
    """Nginx stores bodies of more than 64 KB in its folder, which may be full."""
    with running_nginx(nginx_program) as server:
        (server.folder / "nginx-body").rmdir()
        answer = invoke(server, b"x" * 100_000)
    assert (answer.status, error(answer)) == (500, "a fault of the server; see its log")


def test_bodies_of_each_length_have_own_limit(nginx_program: str) -> None:
    with running_nginx(nginx_program, SERVE_MAX_LARGE_REQUESTS="1") as server, ThreadPoolExecutor(1) as pool:
        with busy(server, 1, 10_000_000):
            assert_is_told_to_come_back(invoke(server, b"x" * 10_000_001))
            shorter = pool.submit(invoke, server, b"x" * 9_999_999)
            while len(server.asked) < 2:
                assert not shorter.done()
                time.sleep(0.01)
        assert shorter.result().status == 200


def test_large_requests_of_an_asynchronous_endpoint_wait(nginx_program: str) -> None:
    with (
        running_nginx(nginx_program, SAGEMAKER_MAX_PAYLOAD_IN_MB="1000") as server,
        busy(server, 4, 16_000_000),
    ):
        assert len(server.asked) == 4


@pytest.mark.skipif(not nginx.has_ipv6(), reason="the kernel has no IPv6")
def test_server_listens_on_ipv6(server: RunningNginx) -> None:
    with contextlib.closing(http.client.HTTPConnection("::1", server.port, timeout=10)) as connection:
        connection.request("GET", "/ping")
        assert connection.getresponse().status == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs capabilities")
def test_root_without_capabilities_keeps_its_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the directive nginx would change to the user of its build."""
    monkeypatch.setattr(nginx, "can_switch_user", lambda: False)
    assert "user root root;" in nginx.configuration(Settings.from_environment({}), tmp_path)


def test_kernel_without_ipv6_gets_ipv4_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(nginx, "has_ipv6", lambda: False)
    assert "[::]" not in nginx.configuration(Settings.from_environment({}), tmp_path)


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ("00000000a80425fb", True),  # Docker's default
        ("00000000000000c1", True),
        ("0000000000000000", False),
        ("00000000a804257b", False),  # without SETUID
        ("00000000a80425bb", False),  # without SETGID
        ("00000000a80425fa", False),  # without CHOWN
    ],
)
def test_capabilities_decide_on_user_switch(tmp_path: Path, capabilities: str, expected: bool) -> None:
    status = tmp_path / "status"
    status.write_text(f"Name:\tserve\nCapEff:\t{capabilities}\n")
    assert nginx.can_switch_user(status) is expected


def test_answering_nginx_is_up(server: RunningNginx) -> None:
    server.management = lambda _request: UNHEALTHY
    assert nginx.is_up(server.port)


def test_silent_port_is_not_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not nginx.is_up(silent.getsockname()[1])
    assert not nginx.is_up(free_port())
