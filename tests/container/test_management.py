"""Health, and the server that nginx asks for /ping, /metrics and /models."""

import json
import os
import socket
import socketserver
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from byoc.serving.worker_status import Worker, WorkerFile
from serving import cgroup, management, model_registry
from serving.logs import Log
from serving.management import Health, management_server
from serving.metrics import Metrics
from serving.model_registry import ModelRegistry
from serving.model_server import ModelServer
from serving.settings import Settings
from tests.support.prometheus import value
from tests.support.toy import ARTIFACT
from tests.support.unix_http import Response, answering, ask


class FakeModels:
    """A registry with one model, whose workers have been busy for these times."""

    def __init__(self, busy_seconds: Sequence[float]) -> None:
        self._busy_seconds = busy_seconds

    def workers(self, name: str) -> list[Worker]:
        """Workers of the model."""
        assert name == "model"
        return [Worker(pid, seconds) for pid, seconds in enumerate(self._busy_seconds, start=2)]


def reason(*busy_seconds: float, multi_model: bool = False) -> str | None:
    """The reason of a server that answers."""
    subject = Health(FakeModels(busy_seconds), 60, multi_model=multi_model)  # type: ignore[arg-type]
    subject.server_answered()
    return subject.unhealthy_reason()


@pytest.mark.parametrize(
    "busy_seconds",
    [(0,), (0, 0), (59,), (59, 59), (0, 59), (61, 0), (1000, 59)],
)
def test_one_available_worker_is_healthy(busy_seconds: Sequence[float]) -> None:
    assert reason(*busy_seconds) is None


def test_no_worker_is_unhealthy() -> None:
    assert reason() == "no worker has loaded the model"


@pytest.mark.parametrize("busy_seconds", [(61,), (61, 1000)])
def test_all_workers_overdue_is_unhealthy(busy_seconds: Sequence[float]) -> None:
    assert reason(*busy_seconds) == "every worker has been busy with one request for more than 60 s"


def test_server_without_first_answer_is_unhealthy() -> None:
    subject = Health(FakeModels([0]), 60, multi_model=False)  # type: ignore[arg-type]
    assert subject.unhealthy_reason() == "the model server does not answer"


def test_silent_server_is_unhealthy(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = Health(FakeModels([0]), 60, multi_model=False)  # type: ignore[arg-type]
    subject.server_answered()
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + management.SERVER_TIMEOUT_SECONDS + 1)
    assert subject.unhealthy_reason() == "the model server does not answer"


def test_answering_again_is_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = Health(FakeModels([0]), 60, multi_model=False)  # type: ignore[arg-type]
    subject.server_answered()
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + management.SERVER_TIMEOUT_SECONDS + 1)
    subject.server_answered()
    assert subject.unhealthy_reason() is None


def test_multi_model_is_healthy_without_model() -> None:
    assert reason(multi_model=True) is None


def test_multi_model_needs_its_server() -> None:
    subject = Health(FakeModels([]), 60, multi_model=True)  # type: ignore[arg-type]
    assert subject.unhealthy_reason() == "the model server does not answer"


class Management(NamedTuple):
    """A management server: its socket, health and registry."""

    path: Path
    health: Health
    models: ModelRegistry

    def ask(self, method: str, path: str, body: bytes | str = b"") -> tuple[int, Any]:
        """Status and JSON of the answer."""
        response = ask(self.path, method, path, body.encode() if isinstance(body, str) else body)
        assert response.headers["Content-Type"] == "application/json"
        return response.status, json.loads(response.body)

    def load(self, name: str) -> tuple[int, Any]:
        """Load the model of this name."""
        url = str(model_registry.MULTI_MODEL_FOLDER / name)
        return self.ask("POST", "/models", json.dumps({"model_name": name, "url": url}))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Management]:
    monkeypatch.setattr(model_registry, "MULTI_MODEL_FOLDER", ARTIFACT.parent)
    monkeypatch.setattr(model_registry, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(cgroup, "free_memory", lambda: 2**40)
    # Poll interval of the shutdown.
    monkeypatch.setattr(socketserver.BaseServer.serve_forever, "__defaults__", (0.01,))
    settings = Settings.from_environment({"SAGEMAKER_MULTI_MODEL": "true"})
    subject = ModelRegistry(tmp_path, settings, ModelServer(tmp_path))
    health = Health(subject, 60, multi_model=True)
    path = tmp_path / "control.sock"
    with (
        answering(tmp_path / "management.sock", lambda _request: Response()),
        management_server(path, health, subject, Metrics(settings, subject), Log()),
    ):
        yield Management(path, health, subject)


def test_unhealthy_ping_has_a_reason(server: Management) -> None:
    assert server.ask("GET", "/ping") == (503, {"error": "the model server does not answer"})


def test_ping_during_start_is_marked(server: Management) -> None:
    assert ask(server.path, "GET", "/ping").headers["X-Starting"] == "1"
    server.health.server_answered()
    server.ask("GET", "/ping")
    server.health._answered = float("-inf")
    assert "X-Starting" not in ask(server.path, "GET", "/ping").headers


def test_healthy_ping_is_200(server: Management) -> None:
    server.health.server_answered()
    assert server.ask("GET", "/ping") == (200, {})


def test_ping_ignores_its_query(server: Management) -> None:
    server.health.server_answered()
    assert server.ask("GET", "/ping?x=/models")[0] == 200


@pytest.mark.parametrize(("headers", "in_flight"), [({"X-In-Flight": "3"}, 2), ({}, 0)])
def test_metrics_are_in_text_format(server: Management, headers: dict[str, str], in_flight: int) -> None:
    answer = ask(server.path, "GET", "/metrics", headers=headers)
    assert (answer.status, answer.headers["Content-Type"]) == (
        200,
        "text/plain; version=0.0.4; charset=utf-8",
    )
    assert value(answer.body, "byoc_requests_in_flight") == in_flight


def test_metrics_are_answered_while_workers_are_busy(server: Management) -> None:
    server.load("toy_artifact")
    status = WorkerFile(server.path.parent / "workers" / "toy_artifact", 1.5)
    status.busy()
    body = ask(server.path, "GET", "/metrics").body
    os.close(status._file)
    for name, expected in (("workers_ready", 1), ("workers_busy", 1), ("model_load_seconds", 1.5)):
        assert value(body, f"byoc_{name}", model="toy_artifact") == expected


def test_socket_is_open_to_all_users(server: Management) -> None:
    assert server.path.stat().st_mode & 0o777 == 0o666


def test_empty_list_of_models(server: Management) -> None:
    assert server.ask("GET", "/models") == (200, {"models": []})


def test_post_loads_a_model(server: Management) -> None:
    assert server.load("toy_artifact") == (200, {"status": "model toy_artifact is loaded"})


def test_loaded_models_are_listed_by_name(server: Management) -> None:
    server.models.load("b", ARTIFACT)
    server.models.load("a", ARTIFACT)
    described = [{"modelName": name, "modelUrl": str(ARTIFACT)} for name in "ab"]
    assert server.ask("GET", "/models?next_page_token=1") == (200, {"models": described})


def test_get_describes_a_model(server: Management) -> None:
    server.models.load("a.b-c", ARTIFACT)
    assert server.ask("GET", "/models/a.b-c") == (200, {"modelName": "a.b-c", "modelUrl": str(ARTIFACT)})


def test_delete_unloads_a_model(server: Management) -> None:
    server.models.load("a", ARTIFACT)
    assert server.ask("DELETE", "/models/a") == (200, {"status": "model a is unloaded"})
    assert server.models.all() == []


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("name", ["a", "..", "%2e%2e", "%00", "a/b", "%ff"])
def test_unknown_model_is_404(server: Management, method: str, name: str) -> None:
    status, answer = server.ask(method, f"/models/{name}")
    assert status == 404
    assert answer["error"].endswith("is not loaded")


def test_loaded_model_is_409(server: Management) -> None:
    server.load("toy_artifact")
    assert server.load("toy_artifact") == (409, {"error": "model toy_artifact is loaded already"})


def test_model_without_memory_is_507(server: Management, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "free_memory", lambda: 0)
    assert server.load("toy_artifact")[0] == 507


def test_missing_artifact_is_400(server: Management) -> None:
    status, answer = server.load("none")
    assert status == 400
    assert "no trained model" in answer["error"]


def test_folder_outside_the_platform_is_400(server: Management) -> None:
    status, answer = server.ask("POST", "/models", '{"model_name": "a", "url": "/etc"}')
    assert status == 400
    assert "expected a folder below" in answer["error"]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        '"model_name"',
        "null",
        "{}",
        '{"model_name": "a"}',
        '{"url": "/opt/ml/models/a"}',
        '{"model_name": 1, "url": "/opt/ml/models/a"}',
        '{"model_name": "a", "url": ["/opt/ml/models/a"]}',
        '{"model_name": "a", "url": "/opt/ml/models/a\\u0000"}',
        '{"model_name": "a", "url": ' + "9" * 5000 + "}",
        "[" * 50_000,
        b'{"model_name": "a", "url": "/\xff"}',
    ],
    ids=range(14),
)
def test_malformed_load_request_is_400(server: Management, body: bytes | str) -> None:
    assert server.ask("POST", "/models", body) == (
        400,
        {"error": 'expected JSON: {"model_name": NAME, "url": FOLDER}'},
    )


def test_unreachable_model_server_is_503(server: Management, tmp_path: Path) -> None:
    (tmp_path / "management.sock").unlink()
    status, answer = server.load("toy_artifact")
    assert status == 503
    assert answer["error"].startswith("the model server: ")


def test_ignored_user_code_is_a_warning(
    server: Management, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAGEMAKER_PROGRAM", "mine.py")
    assert server.load(ARTIFACT.name)[0] == 200
    (line,) = capfd.readouterr().out.splitlines()
    assert json.loads(line)["message"].startswith("ignored: SAGEMAKER_PROGRAM=mine.py")


def test_ping_does_not_wait_for_load(server: Management) -> None:
    server.health.server_answered()
    with server.models._lock:
        assert server.ask("GET", "/ping")[0] == 200


def test_silent_client_blocks_no_other_client(server: Management) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(server.path))
        assert server.ask("GET", "/models")[0] == 200


def written(capfd: pytest.CaptureFixture[str], expected: int) -> list[str]:
    """Lines on stdout, once there are as many as expected; stderr is empty."""
    out = ""
    deadline = time.monotonic() + 10
    while out.count("\n") < expected and time.monotonic() < deadline:
        time.sleep(0.01)
        out += capfd.readouterr().out
    time.sleep(0.05)
    rest = capfd.readouterr()
    assert rest.err == ""
    return (out + rest.out).splitlines()


def test_client_that_hangs_up_logs_nothing(server: Management, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.socket(socket.AF_UNIX) as hasty:
        hasty.connect(str(server.path))
        with server.models._lock:
            hasty.sendall(b"DELETE /models/a HTTP/1.1\r\n\r\n")
            time.sleep(0.05)
            hasty.close()
    server.ask("GET", "/models")
    assert written(capfd, 0) == []


def test_internal_fault_is_one_json_line(
    server: Management, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ModelRegistry, "all", lambda _self: 1 / 0)
    with pytest.raises(ConnectionError):
        server.ask("GET", "/models")
    (line,) = written(capfd, 1)
    fault = json.loads(line)
    assert (fault["level"], fault["source"]) == ("error", "control")
    assert fault["message"].endswith("ZeroDivisionError: division by zero\n")
