"""A fake Multi Model Server for tests of the supervisor: its sockets and processes without Java.

``fake_model_server.py FOLDER [FAULT]`` starts a parent and a worker for each model that is registered.
"""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from byoc.serving.worker_status import WorkerFile
from tests.support.unix_http import Request, Response, answering


def start_parent(name: str) -> int:
    """A child with the model's name on its command line, like the server's."""
    return subprocess.Popen(["sh", "-c", "sleep 60; :", "--model-name", name]).pid


def start_worker(folder: Path, fault: str) -> int:
    """A child with a status file in a folder."""
    if pid := os.fork():
        return pid
    file = WorkerFile(folder)
    if fault == "deaf worker":
        signal.signal(signal.SIGABRT, signal.SIG_IGN)
    if fault in ("overdue worker", "deaf worker"):
        file.busy()
    while True:
        signal.pause()


def main(folder: Path, fault: str = "") -> None:
    """Answer until a signal."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    processes: dict[str, list[int]] = {}

    def manage(request: Request) -> Response:
        url = urlsplit(request.path)
        if request.method == "GET":
            return Response()
        if request.method == "DELETE":
            for pid in processes.pop(url.path.rpartition("/")[2], []):
                os.kill(pid, signal.SIGKILL)
        elif fault == "refusal":
            return Response(500, b'{"message": "Failed to start workers"}')
        else:
            (name,) = parse_qs(url.query)["model_name"]
            processes[name] = [start_parent(name)]
            if fault != "no worker":
                processes[name].append(start_worker(folder / "workers" / name, fault))
        return Response()

    with answering(folder / "mms.sock", lambda _request: Response()):
        # The server too binds them one after the other.
        time.sleep(0.3 if fault == "late management" else 0)
        with answering(folder / "management.sock", manage):
            signal.pause()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
