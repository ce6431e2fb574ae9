"""Limits on bodies and on requests in flight, and a model server that fails."""

import contextlib
import json
import os
import socket
from pathlib import Path

import pytest

from tests.support.nginx_requests import ANSWER, MIB, assert_busy, busy, error, invoke
from tests.support.programs import wait_until
from tests.support.running_nginx import RunningNginx, running_nginx
from tests.support.unix_http import Request, Response


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


def test_requests_beyond_limit_are_503(nginx_program: str) -> None:
    with running_nginx(nginx_program, SERVE_MAX_REQUESTS="3") as server:
        with busy(server, 3):
            assert_busy(invoke(server))
        assert invoke(server).status == 200


@pytest.mark.parametrize("path", ["/invocations", "/models/a/invoke"])
@pytest.mark.parametrize(
    ("size", "is_file"), [(0, False), (99_999, False), (100_000, True), (25 * MIB, True)]
)
def test_large_body_is_in_a_file(nginx_program: str, path: str, size: int, *, is_file: bool) -> None:
    body = os.urandom(size)
    with running_nginx(nginx_program, SAGEMAKER_MULTI_MODEL=str(path != "/invocations")) as server:
        assert server.ask("POST", path, body).status == 200
        assert ("x-body-file" in server.asked[0].headers, server.asked[0].body == body) == (is_file, True)


@pytest.mark.parametrize("chunks", [[b"x"], [b"x"] * 3, [b"x" * MIB] * 3])
def test_body_of_unknown_length_is_in_a_file(server: RunningNginx, chunks: list[bytes]) -> None:
    assert invoke(server, iter(chunks)).status == 200
    assert ("x-body-file" in server.asked[0].headers, server.asked[0].body) == (True, b"".join(chunks))


def test_client_cannot_name_a_file(server: RunningNginx) -> None:
    assert invoke(server, X_Body_File="/etc/passwd").status == 200
    assert (server.asked[0].body, "x-body-file" in server.asked[0].headers) == (b"fine", False)


def test_only_its_owner_reads_the_file(server: RunningNginx) -> None:
    modes: list[int] = []

    def answer(request: Request) -> Response:
        modes.append(Path(request.headers["x-body-file"]).stat().st_mode & 0o777)
        return ANSWER

    server.model = answer
    assert invoke(server, b"x" * MIB).status == 200
    assert modes == [0o600]


def test_file_goes_with_its_request(server: RunningNginx) -> None:
    assert invoke(server, b"x" * MIB).status == 200
    # nginx removes it after it has sent the answer.
    wait_until(lambda: not [*(server.folder / "nginx-body").rglob("*")])


def test_route_of_large_bodies_is_internal(server: RunningNginx) -> None:
    assert server.ask("POST", "/-large/invocations", b"fine").status == 404
    assert server.asked == []


@pytest.mark.parametrize(("method", "status"), [("GET", 405), ("PUT", 405)])
def test_large_body_needs_the_same_method(server: RunningNginx, method: str, status: int) -> None:
    answer = server.ask(method, "/invocations", b"x" * MIB)
    assert (answer.status, answer.headers["allow"]) == (status, "POST")


def test_large_request_is_logged_with_its_path(server: RunningNginx) -> None:
    server.model = lambda _request: ANSWER
    invoke(server, b"x" * MIB)
    assert server.lines(1)[0]["path"] == "/invocations"


@pytest.mark.parametrize("model", [None, Response(503, b'{"code": 503}')], ids=["hangs up", "503"])
def test_failing_model_server_is_503(server: RunningNginx, model: Response | None) -> None:
    server.model = lambda _request: model
    answer = invoke(server)
    assert (answer.status, answer.headers.get("retry-after")) == (503, "1")
    assert json.loads(answer.body)


def test_missing_model_server_is_503(nginx_program: str) -> None:
    with running_nginx(nginx_program) as server:
        server.folder.joinpath("mms.sock").unlink()
        assert_busy(invoke(server))


def test_retry_after_is_for_503_only(server: RunningNginx) -> None:
    assert "retry-after" not in server.ask("GET", "/none").headers
    assert "retry-after" not in invoke(server).headers


def test_body_that_cannot_be_stored_is_json(nginx_program: str) -> None:
    """The disk may be full."""
    with running_nginx(nginx_program) as server:
        (server.folder / "nginx-body").rmdir()
        answer = invoke(server, b"x" * 100_000)
    assert (answer.status, error(answer)) == (500, "a fault of the server; see its log")


def test_large_requests_of_an_asynchronous_endpoint_wait(nginx_program: str) -> None:
    with (
        running_nginx(nginx_program, SAGEMAKER_MAX_PAYLOAD_IN_MB="1000") as server,
        busy(server, 4, 16_000_000),
    ):
        assert len(server.asked) == 4
