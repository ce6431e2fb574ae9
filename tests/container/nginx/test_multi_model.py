"""Routes of a multi-model endpoint."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.nginx_requests import MIB, assert_busy, error, invoke
from tests.support.running_nginx import RunningNginx, running_nginx
from tests.support.unix_http import Response


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
            assert_busy(server.ask("POST", "/models/b/invoke"))
            assert server.ask("GET", "/models").status == 200
            done.set()
            assert first.result().status == 200


def test_request_before_registration_is_503(nginx_program: str) -> None:
    with running_nginx(nginx_program) as server:
        (server.folder / "routes" / "model").unlink()
        assert_busy(invoke(server))
        assert server.asked == []


def test_request_to_unloaded_model_is_404(multi: RunningNginx) -> None:
    answer = multi.ask("POST", "/models/none/invoke", b"fine")
    assert (answer.status, error(answer)) == (404, "no such model; load it with POST /models")
