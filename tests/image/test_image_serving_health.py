"""``/ping`` reports the health, and the container exits when it can no longer serve."""

import http.client
import json
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.image import faults
from tests.image.containers import Container, serving

ESSENTIAL = {
    "com.amazonaws.ml.mms.ModelServer": "the model server ended by itself, by signal SIGKILL",
    "model_service_worker": "the parent of the workers of model is gone",
    "nginx: master": "nginx ended by itself, by signal SIGKILL",
}
FAILED_REQUEST = '"path":"/invocations","status":500'


def last_line(container: Container) -> dict[str, str]:
    line: dict[str, str] = json.loads(container.log().splitlines()[-1])
    return line


def wait_for_ping(container: Container, status: int, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while container.ping() != status:
        assert time.monotonic() < end, container.log()
        time.sleep(0.1)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Options for a container with two workers and faults."""
    mount = faults.mount(tmp_path_factory.mktemp("faults"))
    return (*mount, "--env", "SAGEMAKER_MODEL_SERVER_WORKERS=2")


def test_server_is_unhealthy_while_loading(image: str, trained: Path) -> None:
    options = ("--volume", f"{trained / 'model'}:/opt/ml/model:ro", "--publish", "127.0.0.1::8080")
    seen: list[int] = []
    with Container(image, "serve", options=options) as container:
        end = time.monotonic() + 120
        while 200 not in seen and time.monotonic() < end:
            seen.append(container.ping())
        container.wait_for("the model is loaded")
    assert set(seen) == {0, 503, 200}


def test_busy_workers_are_healthy(image: str, trained: Path, faulty: tuple[str, ...]) -> None:
    with (
        serving(image, trained / "model", options=faulty) as container,
        ThreadPoolExecutor(2) as clients,
    ):
        # With a pause, or one worker gets both as a batch.
        slow = [clients.submit(container.predict, f"{faults.SLEEP}60")]
        time.sleep(1)
        slow.append(clients.submit(container.predict, f"{faults.SLEEP}60"))
        pings = []
        while not all(request.done() for request in slow):
            pings.append(container.ping())
            time.sleep(1)
        assert set(pings) == {200}
        assert [request.result().status for request in slow] == [200, 200]


def test_worker_starts_with_imports_done(image: str, trained: Path) -> None:
    with serving(image, trained / "model") as container:
        parent = container.process("model_service_worker").pid
        assert "libtorch" in container.execute("cat", f"/proc/{parent}/maps")


def test_dead_workers_are_unhealthy_until_replaced(image: str, trained: Path) -> None:
    workers = ("--env", "SAGEMAKER_MODEL_SERVER_WORKERS=2")
    with serving(image, trained / "model", options=workers) as container:
        container.wait_for(r"(?s)the model is loaded.*the model is loaded")
        container.signal("KILL", *container.workers())
        wait_for_ping(container, 503, 5)
        wait_for_ping(container, 200)
        assert container.predict("good").status == 200


def test_dying_worker_disturbs_no_other(image: str, trained: Path, faulty: tuple[str, ...]) -> None:
    with (
        serving(image, trained / "model", options=faulty, expect=[FAILED_REQUEST]) as container,
        ThreadPoolExecutor(2) as clients,
    ):
        before = set(container.workers())
        dying = clients.submit(container.predict, f"{faults.SLEEP}30")
        time.sleep(1)
        other = clients.submit(container.predict, f"{faults.SLEEP}8")
        time.sleep(1)
        # Kill the worker with the longer request.
        states = container.execute("bash", "-c", "cd /tmp/serve-*/workers/model && grep . [0-9]*")
        busy_since = {int(line.split(":")[0]): float(line.split(":")[1]) for line in states.splitlines()}
        container.signal("KILL", min(busy_since, key=lambda pid: busy_since[pid]))
        assert dying.result().status == 500
        assert other.result().status == 200
        end = time.monotonic() + 60
        while len(container.workers()) < 2 and time.monotonic() < end:
            time.sleep(0.5)
        assert set(container.workers()) != before


@pytest.mark.parametrize("frozen", [False, True], ids=["in an endless loop", "stopped"])
def test_overdue_worker_is_replaced(image: str, trained: Path, faulty: tuple[str, ...], frozen: bool) -> None:
    options = (*faulty, "--env", "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS=3")
    options += ("--env", "SAGEMAKER_MODEL_SERVER_WORKERS=1")
    expect = [FAILED_REQUEST, "has been busy with one request for more than 3 s, and is killed"]
    if not frozen:
        # The traceback, in several lines.
        expect += ["Fatal Python error: Aborted", "_predict_or_fail", '"source":"WorkerLifeCycle"']
    with (
        serving(image, trained / "model", options=options, expect=expect) as container,
        ThreadPoolExecutor(1) as clients,
    ):
        (before,) = container.workers()
        stuck = clients.submit(container.predict, faults.LOOP)
        time.sleep(1)
        if frozen:
            container.signal("STOP", before)
        wait_for_ping(container, 503, 10)
        assert stuck.result().status == 500
        wait_for_ping(container, 200)
        assert container.workers() != [before]
        assert container.predict("good").status == 200


@pytest.mark.parametrize("pattern", ESSENTIAL)
def test_dead_essential_process_is_named(image: str, trained: Path, pattern: str) -> None:
    with serving(image, trained / "model", expect=[ESSENTIAL[pattern]]) as container:
        container.signal("KILL", container.process(pattern).pid)
        assert container.wait(10) == 1
        assert ESSENTIAL[pattern] in last_line(container)["message"]


@pytest.fixture
def damaged(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained / "model", tmp_path / "model")


@pytest.mark.parametrize("name", ["model.safetensors", "vocabulary.json", "model.json", "artifact.json"])
@pytest.mark.parametrize("how", ["missing", "truncated"])
def test_damaged_artifact_is_named(image: str, damaged: Path, name: str, how: str) -> None:
    if how == "missing":
        (damaged / name).unlink()
    else:
        (damaged / name).write_bytes((damaged / name).read_bytes()[:-10])
    with Container(
        image, "serve", options=("--volume", f"{damaged}:/opt/ml/model:ro"), expect=[f"/opt/ml/model/{name}"]
    ) as container:
        assert container.wait(20) == 1
        assert name in last_line(container)["message"]


@pytest.fixture
def stopping(image: str, trained: Path, faulty: tuple[str, ...]) -> Iterator[tuple[Container, list[int]]]:
    """A container that gets SIGTERM during a request; the list gets the status of the request."""
    statuses: list[int] = []
    with serving(image, trained / "model", options=faulty) as container:
        request = threading.Thread(
            target=lambda: statuses.append(container.predict(f"{faults.SLEEP}8").status)
        )
        request.start()
        time.sleep(1)
        container.signal("TERM", 1)
        yield container, statuses
        request.join()


def test_stop_answers_requests_in_flight(stopping: tuple[Container, list[int]]) -> None:
    container, statuses = stopping
    assert container.wait(25) == 0
    assert statuses == [200]


def test_stopping_container_refuses_new_requests(stopping: tuple[Container, list[int]]) -> None:
    container, _ = stopping
    time.sleep(1)
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        container.predict("good")
    assert container.wait(25) == 0


def test_stop_during_start_exits_with_0(image: str, trained: Path) -> None:
    with Container(
        image, "serve", options=("--volume", f"{trained / 'model'}:/opt/ml/model:ro")
    ) as container:
        container.wait_for("serving with these settings")
        assert container.stop(30) == 0
