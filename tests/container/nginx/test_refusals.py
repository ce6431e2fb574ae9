"""Requests that nginx refuses itself: routes, methods, headers and encodings."""

import json

import pytest

from tests.support.nginx_requests import error, invoke
from tests.support.running_nginx import RunningNginx


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
