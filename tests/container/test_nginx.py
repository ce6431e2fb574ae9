"""nginx's routes, limits and log, by the real nginx."""

import contextlib
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
from tests.support.front import Front, front
from tests.support.programs import free_port
from tests.support.unix_http import Request, Response

MIB = 2**20
TEXT = {"Content-Type": "text/plain"}
FIGURES = {
    "X-batch-size": "3",
    "X-queue-seconds": "0.004",
    "X-texts": "2",
    "X-characters": "9",
    "X-unknown-share": "0.25",
}
ANSWER = Response(200, b'[{"label": "positive"}]', {"Content-Type": "application/json", **FIGURES})
REFUSAL = Response(400, b'{"error": "empty"}', {"X-batch-size": "3", "X-queue-seconds": "0.004"})
UNHEALTHY = Response(503, b'{"error": "no worker has loaded the model"}')


@pytest.fixture(scope="module")
def shared(nginx_program: str) -> Iterator[Front]:
    with front(nginx_program) as running:
        yield running


@pytest.fixture
def server(shared: Front) -> Front:
    """One with default settings, which answers everything."""
    shared.model, shared.control = lambda _request: ANSWER, lambda _request: Response()
    shared.asked.clear()
    return shared


@pytest.fixture(scope="module")
def many_models(nginx_program: str) -> Iterator[Front]:
    with front(nginx_program, SAGEMAKER_MULTI_MODEL="true") as running:
        yield running


@pytest.fixture
def multi(many_models: Front) -> Front:
    """One for many models, whose servers answer with what they were asked."""

    def echo(name: str, request: Request) -> Response:
        content = [name, request.method, request.path, request.body.decode()]
        return Response(200, json.dumps(content).encode())

    many_models.model = partial(echo, "model")
    many_models.control = partial(echo, "control")
    return many_models


def invoke(server: Front, body: Any = b"fine", **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.ask("POST", "/invocations", body, TEXT | named)


def error(response: Response) -> str:
    """The reason in an answer of nginx's own, which is JSON."""
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
def test_configuration_is_one(nginx_program: str, tmp_path: Path, environment: dict[str, str]) -> None:
    settings = Settings.from_environment({"SAGEMAKER_BIND_TO_PORT": str(free_port())} | environment)
    (tmp_path / "nginx.conf").write_text(nginx.configuration(settings, tmp_path))
    result = subprocess.run(
        [*nginx.command(nginx_program, tmp_path), "-t"], capture_output=True, text=True, check=False
    )
    assert (result.returncode, "warn" in result.stderr) == (0, False), result.stderr


def test_nginx_is_found_where_debian_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = nginx.find()
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert nginx.find() == expected


def test_port_that_is_taken_is_not_shared(nginx_program: str, tmp_path: Path, server: Front) -> None:
    settings = Settings.from_environment({"SAGEMAKER_BIND_TO_PORT": str(server.port)})
    (tmp_path / "nginx.conf").write_text(nginx.configuration(settings, tmp_path))
    result = subprocess.run(
        nginx.command(nginx_program, tmp_path), capture_output=True, text=True, timeout=30, check=False
    )
    assert result.returncode == 1
    assert "Address already in use" in result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up its rights")
def test_what_talks_to_clients_is_not_root(server: Front) -> None:
    (worker,) = psutil.Process(server.process.pid).children()
    assert 0 not in worker.uids() + worker.gids()


def test_ping_is_asked_of_the_control_server(server: Front) -> None:
    server.control = lambda request: Response(200 if request.path == "/ping" else 500)
    assert server.ask("GET", "/ping").status == 200


def test_unhealthy_server_says_why(server: Front) -> None:
    server.control = lambda _request: UNHEALTHY
    answer = server.ask("GET", "/ping")
    assert (answer.status, answer.body) == (503, UNHEALTHY.body)


def test_ping_that_is_not_answered_is_503_within_two_seconds(server: Front) -> None:
    done = threading.Event()
    server.control = lambda _request: Response() if done.wait(20) else None
    start = time.monotonic()
    assert server.ask("GET", "/ping").status == 503
    assert time.monotonic() - start < 2
    done.set()


def test_ping_needs_no_model_server(nginx_program: str) -> None:
    with front(nginx_program, SERVE_MAX_REQUESTS="1") as server, busy(server, 1):
        assert server.ask("GET", "/ping").status == 200


def test_execution_parameters_are_those_of_the_settings(nginx_program: str) -> None:
    settings = Settings.from_environment({"SAGEMAKER_MODEL_SERVER_WORKERS": "1"})
    with front(nginx_program, SAGEMAKER_MODEL_SERVER_WORKERS="1") as server:
        answer = server.ask("GET", "/execution-parameters")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert json.loads(answer.body) == {
        "MaxConcurrentTransforms": settings.transforms,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": settings.transform_mb,
    }


def test_invocation_goes_to_the_model(server: Front) -> None:
    answer = invoke(server, b"a fine film")
    assert (answer.status, answer.body) == (200, ANSWER.body)
    (request,) = server.asked
    assert (request.method, request.path, request.body) == ("POST", "/predictions/model", b"a fine film")


def test_query_is_dropped(server: Front) -> None:
    assert server.ask("POST", "/invocations?model_name=x&body=y", b"", TEXT).status == 200
    assert server.asked[0].path == "/predictions/model"


def test_headers_of_the_contract_are_passed_on(server: Front) -> None:
    invoke(server, Accept="text/csv", X_Amzn_SageMaker_Custom_Attributes="trace=1")
    headers = server.asked[0].headers
    assert headers["content-type"] == "text/plain"
    assert headers["accept"] == "text/csv"
    assert headers["x-amzn-sagemaker-custom-attributes"] == "trace=1"


def test_other_headers_are_not_passed_on(server: Front) -> None:
    many = {f"X-{i}": "x" for i in range(200)}
    invoke(server, Cookie="a=b", Authorization="Basic eA==", Expect="", Transfer="x", **many)
    assert set(server.asked[0].headers) == {"host", "content-type", "content-length", "x-received"}


def test_time_of_arrival_is_nginxs_and_not_the_clients(server: Front) -> None:
    before = time.time()
    invoke(server, X_Received="1")
    assert before - 0.1 < float(server.asked[0].headers["x-received"]) < time.time() + 0.1


def test_body_of_unknown_length_is_passed_on_whole(server: Front) -> None:
    assert server.ask("POST", "/invocations", iter([b"a ", b"fine film"]), TEXT).status == 200
    assert server.asked[0].body == b"a fine film"


def test_headers_of_the_answer(server: Front) -> None:
    server.model = lambda _request: Response(
        200, b"", {"Content-Type": "text/csv", "X-Amzn-SageMaker-Custom-Attributes": "a"}
    )
    answer = invoke(server)
    assert answer.headers["content-type"] == "text/csv"
    assert answer.headers["x-amzn-sagemaker-custom-attributes"] == "a"


def test_figures_of_the_log_are_not_the_clients(server: Front) -> None:
    server.model = lambda _request: Response(
        200, b"", FIGURES | {"x-request-id": "1", "Pragma": "no-cache", "Cache-Control": "no", "Expires": "0"}
    )
    assert set(invoke(server).headers) == {"server", "date", "content-length", "connection"}


def test_version_of_nginx_is_not_told(server: Front) -> None:
    assert invoke(server).headers["server"] == "nginx"


def test_refusal_is_passed_on(server: Front) -> None:
    server.model = lambda _request: REFUSAL
    answer = invoke(server)
    assert (answer.status, answer.body) == (400, REFUSAL.body)


def test_answer_of_any_size_passes(server: Front) -> None:
    body = os.urandom(8 * MIB)
    server.model = lambda _request: Response(200, body)
    assert invoke(server).body == body


@pytest.mark.parametrize("status", [200, 400, 404, 405])
def test_connection_is_kept_whatever_the_answer(server: Front, status: int) -> None:
    server.model = lambda _request: Response(status)
    path = {404: "/none", 405: "/ping"}.get(status, "/invocations")
    with contextlib.closing(server.connect()) as connection:
        for expected in ("/invocations", path, "/invocations"):
            connection.request("POST", expected, b"fine", TEXT)
            connection.getresponse().read()
            assert connection.sock is not None


def test_client_that_has_sent_everything_may_close_its_side(server: Front) -> None:
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
def test_any_other_path_is_404(server: Front, method: str, path: str) -> None:
    answer = server.ask(method, path)
    assert answer.status in (404, 400 if "%00" in path else 404)
    assert error(answer)
    assert server.asked == []


def test_reason_of_404_names_the_routes(server: Front) -> None:
    assert error(server.ask("GET", "/none")) == (
        "no such route; expected GET /ping, POST /invocations, GET /execution-parameters"
    )


ROUTES = [("/ping", "GET"), ("/invocations", "POST"), ("/execution-parameters", "GET")]


@pytest.mark.parametrize(("path", "allowed"), ROUTES)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "X"])
def test_any_other_method_is_405(server: Front, path: str, allowed: str, method: str) -> None:
    answer = server.ask(method, path)
    if method == allowed:
        assert (answer.status, "allow" in answer.headers) == (200, False)
    else:
        assert (answer.status, answer.headers.get("allow")) == (405, allowed)
        assert "Allow" in error(answer)


def test_trace_of_another_path_is_404(server: Front) -> None:
    assert server.ask("TRACE", "/none").status == 404


def test_head_is_405_too(server: Front) -> None:
    answer = server.ask("HEAD", "/ping")
    assert (answer.status, answer.headers["allow"], answer.body) == (405, "GET", b"")


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
def test_what_is_no_request_is_400(server: Front, request_line: bytes) -> None:
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
def test_headers_that_are_none_are_400(server: Front, headers: bytes) -> None:
    answer = server.send(b"POST /invocations HTTP/1.1\r\n" + headers + b"\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] == b"400"
    assert json.loads(body)["error"]
    assert server.asked == []


def test_path_that_is_too_long_is_414(server: Front) -> None:
    answer = server.ask("GET", "/" + "x" * 20_000)
    assert (answer.status, error(answer)) == (414, "the path is too long")


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 25 * MIB])
def test_body_within_the_limit_is_passed_on(server: Front, size: int) -> None:
    body = os.urandom(size)
    assert invoke(server, body).status == 200
    assert server.asked[0].body == body


def test_body_beyond_the_limit_is_413(server: Front) -> None:
    answer = server.send(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 26214401\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] == b"413"
    assert "larger than allowed" in json.loads(body)["error"]
    assert server.asked == []


def test_body_of_unknown_length_beyond_the_limit_is_413(nginx_program: str) -> None:
    with front(nginx_program, SAGEMAKER_MAX_PAYLOAD_IN_MB="6") as server:
        chunks = b"%x\r\n%s\r\n" % (MIB, b"x" * MIB) * 7
        head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        with socket.create_connection(("127.0.0.1", server.port), 60) as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(head + chunks)
            assert connection.recv(12) == b"HTTP/1.1 413"
        assert server.asked == []


def test_no_limit(nginx_program: str) -> None:
    with front(nginx_program, SAGEMAKER_MAX_PAYLOAD_IN_MB="0") as server:
        assert invoke(server, b"x" * (26 * MIB)).status == 200


@contextlib.contextmanager
def busy(server: Front, count: int, size: int = 4) -> Iterator[None]:
    """That many requests in flight while the block runs; all of them are answered."""
    done = threading.Event()
    server.model = lambda _request: ANSWER if done.wait(30) else None
    with ThreadPoolExecutor(count) as pool:
        answers = [pool.submit(invoke, server, b"x" * size) for _ in range(count)]
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


def test_requests_beyond_the_limit_are_503_at_once(nginx_program: str) -> None:
    with front(nginx_program, SERVE_MAX_REQUESTS="3") as server:
        with busy(server, 3):
            assert_is_told_to_come_back(invoke(server))
        assert invoke(server).status == 200


@pytest.mark.parametrize("body", [b"x" * 1_000_000, iter([b"of unknown length"])], ids=["large", "chunked"])
def test_large_requests_have_a_limit_of_their_own(nginx_program: str, body: Any) -> None:
    with front(nginx_program, SERVE_MAX_LARGE_REQUESTS="1") as server, busy(server, 1, 1_000_000):
        assert_is_told_to_come_back(invoke(server, body))


def test_small_requests_pass_large_ones(nginx_program: str) -> None:
    with front(nginx_program, SERVE_MAX_LARGE_REQUESTS="1") as server, ThreadPoolExecutor(1) as pool:
        with busy(server, 1, 1_000_000):
            small = pool.submit(invoke, server, b"x" * 999_999)
            # Now both are in flight.
            while len(server.asked) < 2:
                assert not small.done()
                time.sleep(0.01)
        assert small.result().status == 200


@pytest.mark.parametrize("model", [None, Response(503, b'{"code": 503}')], ids=["hangs up", "503"])
def test_model_server_that_cannot_answer_is_503(server: Front, model: Response | None) -> None:
    server.model = lambda _request: model
    answer = invoke(server)
    assert (answer.status, answer.headers.get("retry-after")) == (503, "1")
    assert json.loads(answer.body)


def test_model_server_that_is_not_there_is_503(nginx_program: str) -> None:
    with front(nginx_program) as server:
        server.folder.joinpath("mms.sock").unlink()
        assert_is_told_to_come_back(invoke(server))


def test_other_answers_do_not_ask_to_come_back(server: Front) -> None:
    assert "retry-after" not in server.ask("GET", "/none").headers
    assert "retry-after" not in invoke(server).headers


def test_stopped_server_answers_what_is_in_flight(nginx_program: str) -> None:
    with front(nginx_program) as server:
        with busy(server, 2):
            server.process.send_signal(3)
            while server.connects():
                time.sleep(0.01)
        assert server.process.wait(10) == 0


def test_stopped_server_does_not_wait_for_idle_clients(nginx_program: str) -> None:
    with front(nginx_program) as server, contextlib.closing(server.connect()) as connection:
        connection.request("GET", "/ping")
        connection.getresponse().read()
        assert server.quit() == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/models"), ("GET", "/models/a.b-C_1"), ("DELETE", "/models/a"), ("POST", "/models")],
)
def test_models_are_asked_of_the_control_server(multi: Front, method: str, path: str) -> None:
    path += "?next_page_token=1"
    assert json.loads(multi.ask(method, path, b"{}").body) == ["control", method, path, "{}"]


def test_invocation_goes_to_its_model(multi: Front) -> None:
    answer = multi.ask("POST", "/models/a.b-C_1/invoke?x=y", b"fine")
    assert json.loads(answer.body) == ["model", "POST", "/predictions/a.b-C_1", "fine"]


def test_ping_of_many_models_is_asked_of_the_control_server(multi: Front) -> None:
    assert json.loads(multi.ask("GET", "/ping").body) == ["control", "GET", "/ping", ""]


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/ping", "GET"),
        ("/models", "GET, POST"),
        ("/models/a", "GET, DELETE"),
        ("/models/a/invoke", "POST"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "GETX"])
def test_other_methods_of_many_models_are_405(multi: Front, path: str, allowed: str, method: str) -> None:
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
def test_any_other_path_of_many_models_is_404(multi: Front, method: str, path: str) -> None:
    assert "/models/NAME/invoke" in error(multi.ask(method, path))


@pytest.mark.parametrize(("size", "status"), [(65_536, 200), (65_537, 413)])
def test_request_to_load_is_not_large(multi: Front, size: int, status: int) -> None:
    assert multi.ask("POST", "/models", b"x" * size).status == status


def test_invocation_of_one_of_many_models_may_be_large(multi: Front) -> None:
    assert multi.ask("POST", "/models/a/invoke", b"x" * MIB).status == 200


def test_limit_on_requests_is_for_all_models_together(nginx_program: str) -> None:
    with front(nginx_program, SAGEMAKER_MULTI_MODEL="true", SERVE_MAX_REQUESTS="1") as server:
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
