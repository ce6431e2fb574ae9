"""What the workers of the model server tell the supervisor: one small file each, in a folder they share.

A worker keeps its file locked while it lives, so that the system itself tells when it is gone, however it
ended. In the file stands since when it has been busy, by the clock that all processes share; 0 while idle.
"""

import fcntl
import os
import time
from pathlib import Path
from typing import NamedTuple

_FORMAT = "%020.6f\n"


class Worker(NamedTuple):
    """A worker that has loaded the model; ``busy_seconds`` is 0 while it waits for requests."""

    pid: int
    busy_seconds: float


class WorkerFile:
    """The file of this worker, in ``folder``, until the process ends.

    Raises:
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / str(os.getpid())
        # Under another name until it is locked: a file without a lock is that of a dead worker.
        new = path.with_suffix(".new")
        self._file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self.idle()
        new.rename(path)

    def busy(self) -> None:
        """A request begins, or the next one of a batch."""
        self._write(time.monotonic())

    def idle(self) -> None:
        """There is nothing to do."""
        self._write(0.0)

    def _write(self, since: float) -> None:
        os.pwrite(self._file, (_FORMAT % since).encode(), 0)


def workers(folder: Path) -> list[Worker]:
    """The workers that live; the files of those that do not are removed."""
    found = []
    for path in folder.iterdir():
        if not path.name.isdigit():
            continue
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            since = _read(file)
            found.append(Worker(int(path.name), time.monotonic() - since if since else 0.0))
        else:
            path.unlink(missing_ok=True)
        finally:
            os.close(file)
    return found


def _read(file: int) -> float:
    """A read in the middle of a write can see some bytes of each state: two that agree are whole."""
    content = os.pread(file, 64, 0)
    while (again := os.pread(file, 64, 0)) != content:
        content = again
    return float(content)
