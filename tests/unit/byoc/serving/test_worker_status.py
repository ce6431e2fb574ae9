"""Status files of workers."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from byoc.serving.worker_status import LOADS, WorkerFile, workers

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
def file(tmp_path: Path) -> Iterator[WorkerFile]:
    """The file of this process."""
    status = WorkerFile(tmp_path)
    yield status
    os.close(status._file)


def test_each_worker_adds_its_load_time(tmp_path: Path) -> None:
    for seconds in (1.25, 0.5):
        os.close(WorkerFile(tmp_path, seconds)._file)
    assert (tmp_path / LOADS).read_text() == "1.250\n0.500\n"


def test_no_worker_in_an_empty_folder(tmp_path: Path) -> None:
    assert workers(tmp_path) == []


def test_idle_worker_has_no_busy_time(tmp_path: Path, idle: subprocess.Popen[str]) -> None:
    assert workers(tmp_path) == [(idle.pid, 0.0)]


def test_busy_time_grows(tmp_path: Path) -> None:
    with start(tmp_path, "file.busy()"):
        first = workers(tmp_path)[0].busy_seconds
        time.sleep(0.01)
        assert workers(tmp_path)[0].busy_seconds >= first + 0.01 > 0.01


def test_next_request_restarts_the_time(tmp_path: Path, file: WorkerFile) -> None:
    file.busy()
    time.sleep(0.01)
    before = time.monotonic()
    file.busy()
    assert workers(tmp_path)[0].busy_seconds <= time.monotonic() - before


def test_worker_becomes_idle_again(tmp_path: Path, file: WorkerFile) -> None:
    file.busy()
    file.idle()
    assert workers(tmp_path) == [(os.getpid(), 0.0)]


def test_all_workers_are_listed(tmp_path: Path, idle: subprocess.Popen[str]) -> None:
    with start(tmp_path, "file.busy()") as busy:
        busy_by_pid = {worker.pid: worker.busy_seconds > 0 for worker in workers(tmp_path)}
        assert busy_by_pid == {idle.pid: False, busy.pid: True}


def test_killed_process_disappears(tmp_path: Path, idle: subprocess.Popen[str]) -> None:
    idle.kill()
    idle.wait()
    assert workers(tmp_path) == []


def test_file_of_killed_process_is_removed(tmp_path: Path, idle: subprocess.Popen[str]) -> None:
    idle.kill()
    idle.wait()
    workers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [LOADS]


def test_child_does_not_hold_the_lock(tmp_path: Path) -> None:
    with start(tmp_path, "subprocess.Popen(['sleep', '60'], close_fds=False)") as process:
        child = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
        process.kill()
        process.wait()
        alive = workers(tmp_path)
        os.kill(child, signal.SIGKILL)
    assert alive == []


def test_old_file_of_pid_is_replaced(tmp_path: Path) -> None:
    (tmp_path / str(os.getpid())).write_text("old")
    file = WorkerFile(tmp_path)
    assert workers(tmp_path) == [(os.getpid(), 0.0)]
    os.close(file._file)


def test_file_not_locked_yet_is_ignored(tmp_path: Path) -> None:
    new = tmp_path / "123.new"
    new.touch()
    assert workers(tmp_path) == []
    assert new.exists()


def test_read_during_a_write_is_repeated(
    tmp_path: Path, file: WorkerFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.idle()
    reads = iter([b"0000000000000.009999\n", b"0000000000000.000000\n", b"0000000000000.000000\n"])
    monkeypatch.setattr(os, "pread", lambda *_: next(reads))
    assert workers(tmp_path) == [(os.getpid(), 0.0)]


def test_concurrent_writes_are_read_correctly(tmp_path: Path, file: WorkerFile) -> None:
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            file.busy()
            file.idle()

    thread = threading.Thread(target=change)
    started = time.monotonic()
    thread.start()
    seconds = [worker.busy_seconds for _ in range(1_000) for worker in workers(tmp_path)]
    stop.set()
    thread.join()
    assert len(seconds) == 1_000
    assert max(seconds) <= time.monotonic() - started


def test_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        WorkerFile(tmp_path / "missing")


def test_decoded_record_counts_for_all_workers(file: WorkerFile, tmp_path: Path) -> None:
    assert not file.has_decoded
    with start(tmp_path, "file.mark_decoded()") as process:
        assert file.has_decoded
        assert {worker.pid for worker in workers(tmp_path)} == {os.getpid(), process.pid}
