"""Limits on bodies and on requests in flight, and a model server that fails."""

import contextlib
import json
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.nginx_requests import (
    MIB,
    assert_busy,
    busy,
    error,
    invoke,
)
from tests.support.running_nginx import RunningNginx, running_nginx
from tests.support.unix_http import Response


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


@pytest.mark.parametrize("chunked", [False, True])
def test_large_requests_have_their_own_limit(nginx_program: str, *, chunked: bool) -> None:
    with (
        running_nginx(nginx_program, SERVE_MAX_LARGE_REQUESTS="1") as server,
        busy(server, 1, 1_000_000, chunked=chunked),
    ):
        assert_busy(invoke(server, iter([b"x"]) if chunked else b"x" * 1_000_000))


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
        assert_busy(invoke(server))


def test_retry_after_is_for_503_only(server: RunningNginx) -> None:
    assert "retry-after" not in server.ask("GET", "/none").headers
    assert "retry-after" not in invoke(server).headers


def test_body_that_cannot_be_stored_is_json(nginx_program: str) -> None:
    """Nginx stores bodies of more than 64 KB in its folder, which may be full."""
    with running_nginx(nginx_program) as server:
        (server.folder / "nginx-body").rmdir()
        answer = invoke(server, b"x" * 100_000)
    assert (answer.status, error(answer)) == (500, "a fault of the server; see its log")


def test_bodies_of_each_length_have_own_limit(nginx_program: str) -> None:
    with running_nginx(nginx_program, SERVE_MAX_LARGE_REQUESTS="1") as server, ThreadPoolExecutor(1) as pool:
        with busy(server, 1, 10_000_000):
            assert_busy(invoke(server, b"x" * 10_000_001))
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
