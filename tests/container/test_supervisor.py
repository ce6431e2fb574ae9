"""The supervisor, with fake programs in place of nginx and the model server."""

import itertools
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from byoc.serving.worker_status import Worker
from serving import cgroup, model_registry, model_server, nginx, supervisor
from serving.logs import Log
from serving.settings import Settings
from serving.supervisor import ServingError, Supervisor
from tests.support.programs import is_alive, printed_lines, wait_until
from tests.support.toy import ARTIFACT

TESTS = Path(__file__).parents[1] / "support"
NGINX_THAT_WAITS = ["sh", "-c", "trap '' QUIT; sleep 60"]


class Running:
    """A running supervisor with a fake model server."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.subject = Supervisor(Settings.from_environment(environment), Log(), folder, ARTIFACT)
        self.stop = threading.Event()
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.subject.run(self.stop)
        except ServingError as error:
            self.error = error

    def wait(self) -> str | None:
        """Wait for the end; returns the reason of a fault."""
        self._thread.join(30)
        assert not self._thread.is_alive()
        return str(self.error) if self.error else None

    def worker(self, name: str = "model") -> Worker:
        """The single worker of a model, once it is running."""
        (worker,) = wait_until(lambda: self.subject._models.workers(name))
        return worker

    def kill_parent(self, name: str = "model") -> None:
        """Kill the parent of a model's workers, once the supervisor has seen it."""
        os.kill(wait_until(lambda: self.subject._models.get(name).parent), signal.SIGKILL)

    def child(self, pattern: str) -> psutil.Process:
        """A descendant of this process by a part of its command line, once it is running."""
        return wait_until(
            lambda: next(
                (p for p in psutil.Process().children(True) if pattern in " ".join(p.cmdline())), None
            )
        )


Start = Callable[..., Running]


@pytest.fixture
def supervise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start a supervisor with a fault of the model server and variables of the environment."""
    monkeypatch.setattr(supervisor, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(model_registry, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(supervisor, "TRACEBACK_SECONDS", 0.2)
    monkeypatch.setattr(cgroup, "free_memory", lambda: 2**40)
    monkeypatch.setattr(model_registry, "MULTI_MODEL_FOLDER", TESTS)
    monkeypatch.setattr(nginx, "find", lambda: "nginx")
    monkeypatch.setattr(nginx, "command", lambda *_: ["sleep", "60"])
    monkeypatch.setattr(nginx, "is_up", lambda _port: True)
    path = {"PYTHONPATH": f"{TESTS.parents[1] / 'code'}:{TESTS.parents[1]}"}
    monkeypatch.setattr(model_server, "environment", lambda *_: path)
    started: list[Running] = []

    def begin(action: str = "", **environment: str) -> Running:
        command = [sys.executable, str(TESTS / "fake_model_server.py"), str(tmp_path), action]
        monkeypatch.setattr(model_server, "command", lambda *_: command)
        started.append(Running(tmp_path, environment))
        return started[0]

    yield begin
    for running in started:
        running.stop.set()
        running.wait()


def test_server_runs_until_stop(supervise: Start) -> None:
    running = supervise()
    running.worker()
    assert running.subject._health.unhealthy_reason() is None
    running.stop.set()
    assert running.wait() is None


def test_stop_ends_all_processes(supervise: Start) -> None:
    running = supervise()
    running.worker()
    before = psutil.Process().children(recursive=True)
    running.stop.set()
    running.wait()
    assert len(before) >= 4
    wait_until(lambda: not any(map(is_alive, before)))


def test_stop_during_start_returns(supervise: Start) -> None:
    running = supervise()
    running.stop.set()
    assert running.wait() is None


def test_socket_is_open_to_nginx(supervise: Start, tmp_path: Path) -> None:
    supervise().worker()
    assert (tmp_path / "mms.sock").stat().st_mode & 0o777 == 0o666


def test_late_management_api_is_awaited(supervise: Start) -> None:
    supervise("late management").worker()


@pytest.mark.parametrize(
    ("pattern", "name"), [("fake_model_server", "the model server"), ("sleep 60", "nginx")]
)
def test_dead_program_is_named(supervise: Start, pattern: str, name: str) -> None:
    running = supervise()
    running.worker()
    running.child(pattern).kill()
    assert running.wait() == f"{name} ended by itself, by signal SIGKILL"


def test_dead_parent_of_workers_is_named(supervise: Start) -> None:
    running = supervise()
    running.worker()
    running.kill_parent()
    assert running.wait() == (
        "the parent of the workers of model is gone, and the model server cannot start another"
    )


def test_dead_worker_is_no_fault(supervise: Start) -> None:
    running = supervise()
    os.kill(running.worker().pid, signal.SIGKILL)
    wait_until(lambda: running.subject._health.unhealthy_reason() == "no worker has loaded the model")
    time.sleep(0.1)
    assert running.error is None


def test_model_that_never_loads_is_fault(supervise: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_server, "LOAD_SECONDS", 1)
    assert supervise("no worker").wait() == "no worker loaded the model for 1 s; see above"


def test_refused_model_is_a_fault(supervise: Start) -> None:
    assert supervise("refusal").wait() == (
        "model model cannot be loaded: Failed to start workers; see the log"
    )


def test_overdue_worker_is_aborted(supervise: Start, capfd: pytest.CaptureFixture[str]) -> None:
    running = supervise("overdue worker", SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS="1")
    worker = psutil.Process(running.worker().pid)
    wait_until(lambda: not running.subject._models.workers("model"))
    assert worker.status() == psutil.STATUS_ZOMBIE
    assert [(line["level"], line["message"]) for line in printed_lines(capfd)] == [
        (
            "error",
            f"worker {worker.pid} of model has been busy with one request for more than 1 s, and is killed",
        )
    ]


def test_overdue_worker_ignoring_abort_is_killed(supervise: Start) -> None:
    running = supervise("deaf worker", SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS="1")
    running.worker()
    wait_until(lambda: not running.subject._models.workers("model"))


def test_worker_within_its_time_lives(supervise: Start) -> None:
    running = supervise("overdue worker")
    worker = running.worker()
    time.sleep(0.2)
    assert running.worker().pid == worker.pid


def test_stop_waits_for_nginx(supervise: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    script = "trap 'sleep 0.3; echo answered; exit 0' QUIT; while :; do sleep 0.01; done"
    monkeypatch.setattr(nginx, "command", lambda *_: ["sh", "-c", script])
    running = supervise()
    running.worker()
    running.stop.set()
    assert running.wait() is None


def test_stop_kills_a_hanging_nginx(supervise: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nginx, "command", lambda *_: NGINX_THAT_WAITS)
    monkeypatch.setattr(nginx, "DRAIN_SECONDS", -0.9)
    running = supervise()
    running.worker()
    running.stop.set()
    assert running.wait() is None


def test_fault_does_not_wait_for_nginx(supervise: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nginx, "command", lambda *_: NGINX_THAT_WAITS)
    monkeypatch.setattr(nginx, "DRAIN_SECONDS", 1_000)
    monkeypatch.setattr(supervisor, "STOP_SECONDS", 0.1)
    running = supervise()
    running.worker()
    running.kill_parent()
    assert running.wait() is not None


def test_silent_nginx_is_a_fault(supervise: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its master lives on when none of its workers can start."""
    monkeypatch.setattr(nginx, "is_up", lambda _port: False)
    monkeypatch.setattr(supervisor, "NGINX_SECONDS", 0.1)
    reason = supervise().wait()
    assert reason is not None
    assert reason.startswith("nginx does not answer on port 8080; see above why: ")
    assert "docker run --cap-drop" in reason


def test_freeze_does_not_kill_a_busy_worker(supervise: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FREEZE_SECONDS", 0.5)
    running = supervise("overdue worker", SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS="3")
    worker = running.worker()
    # The supervisor is frozen, too.
    monkeypatch.setattr(running.stop, "wait", lambda _seconds: time.sleep(3.5))
    wait_until(lambda: running.subject._models._resumed > 0)
    monkeypatch.undo()
    assert running.worker().pid == worker.pid
    assert running.worker().busy_seconds < 3


def test_workers_killed_for_memory_are_named(supervise: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    kills = itertools.count()
    monkeypatch.setattr(cgroup, "out_of_memory_kills", lambda: next(kills))
    reason = supervise("no worker", SAGEMAKER_MODEL_SERVER_WORKERS="2").wait()
    assert reason is not None
    assert "memory ran out while 2 workers (SAGEMAKER_MODEL_SERVER_WORKERS) loaded the model" in reason


def test_process_killed_for_memory_is_logged(
    supervise: Start, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    kills = 2
    monkeypatch.setattr(cgroup, "out_of_memory_kills", lambda: kills)
    running = supervise()
    running.worker()
    assert "memory" not in capfd.readouterr().out
    kills = 3
    (line,) = wait_until(lambda: printed_lines(capfd))
    assert line["level"] == "error"
    assert "the kernel killed 1 of the container's processes because" in line["message"]


def test_model_that_no_worker_can_load_ends_at_once(supervise: Start, tmp_path: Path) -> None:
    running = supervise("no worker")
    wait_until((tmp_path / "routes" / "model").exists)
    (tmp_path / "workers" / "model" / "error").write_text("weights that are not finite")
    assert running.wait() == "weights that are not finite"


MULTI_MODEL = {"SAGEMAKER_MULTI_MODEL": "true"}


def test_multi_model_starts_without_model(supervise: Start) -> None:
    running = supervise(**MULTI_MODEL)
    wait_until(lambda: running.subject._health.unhealthy_reason() is None)
    assert running.subject._models.all() == []


def test_reloading_a_model_is_no_fault(supervise: Start, capfd: pytest.CaptureFixture[str]) -> None:
    running = supervise(**MULTI_MODEL)
    wait_until(lambda: running.subject._health.unhealthy_reason() is None)
    for _ in range(20):
        running.subject._models.load("a", ARTIFACT)
        time.sleep(0.03)
        running.subject._models.unload("a")
    running.subject._models.load("a", ARTIFACT)
    time.sleep(0.1)
    assert [model.name for model in running.subject._models.all()] == ["a"]
    assert printed_lines(capfd) == []


def test_model_without_parent_is_unloaded(supervise: Start, capfd: pytest.CaptureFixture[str]) -> None:
    running = supervise(**MULTI_MODEL)
    wait_until(lambda: running.subject._health.unhealthy_reason() is None)
    for name in ("a", "b"):
        running.subject._models.load(name, ARTIFACT)
    running.kill_parent("a")
    wait_until(lambda: [model.name for model in running.subject._models.all()] == ["b"])
    assert running.error is None
    assert [line["message"] for line in printed_lines(capfd)] == [
        "the parent of the workers of a is gone, and the model server cannot start another; it is unloaded"
    ]


def test_missing_nginx_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_args, **_options: None)
    subject = Supervisor(Settings.from_environment({}), Log(), tmp_path, ARTIFACT)
    with pytest.raises(FileNotFoundError, match="install it with: sudo apt-get install -y nginx"):
        subject.run(threading.Event())
    assert psutil.Process().children() == []
