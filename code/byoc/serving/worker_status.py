"""Status files, one per worker of the model server, from which the supervisor detects hung workers.

A worker holds a lock on its file; the kernel releases it however the worker ends. The content is the time
since when the worker has been busy, by the system-wide monotonic clock; 0 while it is idle.
"""

import fcntl
import os
import time
from pathlib import Path
from typing import NamedTuple

# Next to the status files: the time of each load of the model, in seconds.
LOADS = "loads"
_FORMAT = "%020.6f\n"


class Worker(NamedTuple):
    """A worker that has loaded the model; ``busy_seconds`` is 0 while it waits for requests."""

    pid: int
    busy_seconds: float


class WorkerFile:
    """The status file of this process, until it ends, and a line with its ``load_seconds``.

    Raises:
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path, load_seconds: float = 0.0) -> None:
        path = folder / str(os.getpid())
        # Another name until it is locked: a file without a lock counts as left by a dead worker.
        new = path.with_suffix(".new")
        self._file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self.idle()
        with (folder / LOADS).open("a") as loads:
            loads.write(f"{load_seconds:.3f}\n")
        new.rename(path)
        self._decoded = folder / "decoded"
        self._has_decoded = False

    @property
    def has_decoded(self) -> bool:
        """Whether a worker of this model, alive or not, has decoded a record."""
        return self._has_decoded or self._decoded.exists()

    def mark_decoded(self) -> None:
        """Record that a worker has decoded a record."""
        if not self._has_decoded:
            self._decoded.touch()
            self._has_decoded = True

    def busy(self) -> None:
        """Start the time of a request, or of the next request of a batch."""
        self._write(time.monotonic())

    def idle(self) -> None:
        """Mark the worker as waiting for requests."""
        self._write(0.0)

    def _write(self, since: float) -> None:
        os.pwrite(self._file, (_FORMAT % since).encode(), 0)


def workers(folder: Path) -> list[Worker]:
    """The live workers; removes the files of dead workers."""
    alive = []
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
            alive.append(Worker(int(path.name), time.monotonic() - since if since else 0.0))
        else:
            path.unlink(missing_ok=True)
        finally:
            os.close(file)
    return alive


def _read(file: int) -> float:
    """Read until two reads agree: a read during a write may mix bytes of both states."""
    content = os.pread(file, 64, 0)
    while (again := os.pread(file, 64, 0)) != content:
        content = again
    return float(content)
