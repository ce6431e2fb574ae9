"""Multi Model Server alone, where there is no nginx: predictions, and a word about what is missing."""

import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from programs import ROOT, Server
from serving.supervisor import MISSING_WITHOUT_NGINX

pytestmark = pytest.mark.whole_path

TEXT = {"Content-Type": "text/plain"}


def start(folder: Path) -> Server:
    (folder / "model").symlink_to(ROOT / "tests" / "artifact_format_1")
    return Server(folder, folder / "log", with_nginx=False, SAGEMAKER_MODEL_SERVER_WORKERS="1")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start(tmp_path_factory.mktemp("ml"))
    running.wait_until_it_is_healthy()
    yield running
    assert running.stop() == 0


def test_request_is_answered(server: Server) -> None:
    status, content_type, answer = server.ask(b"A great, great film.", TEXT)
    assert (status, content_type) == (200, "application/json")
    assert json.loads(answer)[0]["label"] == "positive"


def test_refusal_has_a_reason(server: Server) -> None:
    status, content_type, answer = server.ask(b"{", {"Content-Type": "application/json"})
    assert (status, content_type) == (400, "application/json")
    assert json.loads(answer)["error"]


def test_what_is_missing_is_told(server: Server) -> None:
    warnings = [line["message"] for line in server.log if line["level"] == "warning"]
    assert MISSING_WITHOUT_NGINX in warnings


@pytest.mark.parametrize("path", ["/models", "/models/model"])
def test_management_is_not_on_the_public_port(server: Server, path: str) -> None:
    assert server.request("GET", path)[0] == 404


def test_nothing_listens_but_the_public_port(server: Server) -> None:
    own = psutil.Process(server.process.pid)
    connections = [c for process in own.children(recursive=True) for c in process.net_connections("tcp")]
    assert {c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN} == {server.port}


def test_server_that_dies_is_no_success(tmp_path: Path) -> None:
    server = start(tmp_path)
    server.wait_until_it_is_healthy()
    psutil.Process(server.process.pid).children()[0].kill()
    assert server.process.wait(30) == 1
    assert server.log[-1]["message"] == "the model server ended by itself, by signal SIGKILL"
