"""What the workers tell the supervisor."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from byoc.serving.worker_status import WorkerFile, workers

ROOT = Path(__file__).resolve().parents[4]
PROGRAM = """
import subprocess, sys, time
from pathlib import Path
from byoc.serving.worker_status import WorkerFile
file = WorkerFile(Path(sys.argv[1]))
{action}
print("ready", flush=True)
sys.stdin.read()
"""


def start(folder: Path, action: str = "") -> subprocess.Popen[str]:
    """A process with a file in the folder; it ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(action=action), folder],
        env={"PYTHONPATH": str(ROOT / "code"), "PATH": os.environ["PATH"]},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with start(tmp_path) as process:
        yield process


@pytest.fixture
def own(tmp_path: Path) -> Iterator[WorkerFile]:
    """The file of this process."""
    file = WorkerFile(tmp_path)
    yield file
    os.close(file._file)


def test_no_worker_in_an_empty_folder(tmp_path: Path) -> None:
    assert workers(tmp_path) == []


def test_idle_worker_is_busy_for_no_time(tmp_path: Path, idle: subprocess.Popen[str]) -> None:
    assert workers(tmp_path) == [(idle.pid, 0.0)]


def test_busy_worker_tells_for_how_long(tmp_path: Path) -> None:
    with start(tmp_path, "file.busy()"):
        first = workers(tmp_path)[0].busy_seconds
        time.sleep(0.01)
        assert workers(tmp_path)[0].busy_seconds >= first + 0.01 > 0.01


def test_time_starts_again_with_the_next_request_of_a_batch(tmp_path: Path, own: WorkerFile) -> None:
    own.busy()
    time.sleep(0.01)
    before = time.monotonic()
    own.busy()
    assert workers(tmp_path)[0].busy_seconds <= time.monotonic() - before


def test_worker_is_idle_again(tmp_path: Path, own: WorkerFile) -> None:
    own.busy()
    own.idle()
    assert workers(tmp_path) == [(os.getpid(), 0.0)]


def test_all_workers_are_found(tmp_path: Path, idle: subprocess.Popen[str]) -> None:
    with start(tmp_path, "file.busy()") as busy:
        found = {worker.pid: worker.busy_seconds > 0 for worker in workers(tmp_path)}
        assert found == {idle.pid: False, busy.pid: True}


def test_killed_process_disappears(tmp_path: Path, idle: subprocess.Popen[str]) -> None:
    idle.kill()
    idle.wait()
    assert workers(tmp_path) == []


def test_file_of_a_killed_process_is_removed(tmp_path: Path, idle: subprocess.Popen[str]) -> None:
    idle.kill()
    idle.wait()
    workers(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_program_that_a_worker_has_started_does_not_stand_for_it(tmp_path: Path) -> None:
    with start(tmp_path, "subprocess.Popen(['sleep', '60'], close_fds=False)") as process:
        child = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
        process.kill()
        process.wait()
        found = workers(tmp_path)
        os.kill(child, signal.SIGKILL)
    assert found == []


def test_file_left_behind_by_the_same_process_id_is_replaced(tmp_path: Path) -> None:
    (tmp_path / str(os.getpid())).write_text("left behind")
    file = WorkerFile(tmp_path)
    assert workers(tmp_path) == [(os.getpid(), 0.0)]
    os.close(file._file)


def test_file_that_is_not_locked_yet_is_let_alone(tmp_path: Path) -> None:
    new = tmp_path / "123.new"
    new.touch()
    assert workers(tmp_path) == []
    assert new.exists()


def test_read_in_the_middle_of_a_write_is_not_believed(
    tmp_path: Path, own: WorkerFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.idle()
    reads = iter([b"0000000000000.009999\n", b"0000000000000.000000\n", b"0000000000000.000000\n"])
    monkeypatch.setattr(os, "pread", lambda *_: next(reads))
    assert workers(tmp_path) == [(os.getpid(), 0.0)]


def test_worker_that_changes_all_the_time_is_read_all_the_time(tmp_path: Path, own: WorkerFile) -> None:
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            own.busy()
            own.idle()

    thread = threading.Thread(target=change)
    started = time.monotonic()
    thread.start()
    found = [worker.busy_seconds for _ in range(1_000) for worker in workers(tmp_path)]
    stop.set()
    thread.join()
    assert len(found) == 1_000
    assert max(found) <= time.monotonic() - started


def test_folder_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        WorkerFile(tmp_path / "missing")
