"""What the image needs as a serverless endpoint: seconds to the first answer, and memory.

A container of 1 GB, the smallest that SageMaker has for this, where only /tmp can be written; with one CPU,
since the share of CPU follows the memory. The model has the default's shape.
"""

import argparse
import contextlib
import http.client
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.report import save
from benchmarks.serving import material
from benchmarks.serving.docker import docker

PORT = 8080
MEMORY = ("--memory", "1g", "--memory-swap", "1g")
OTHER_LIMITS = ("--cpus", "1", "--read-only", "--tmpfs", "/tmp")  # noqa: S108
START_SECONDS = 120
# The most that SageMaker sends to a serverless endpoint.
PAYLOAD_BYTES = 4 * 10**6
ROUNDS = 5

PEAK = "cat /sys/fs/cgroup/memory.peak /sys/fs/cgroup/memory/memory.max_usage_in_bytes 2>/dev/null"
# Resident memory in MiB by what the command line holds; the larger of two workers' processes is the worker.
PROCESSES = """
import json, os, psutil
found = {}
for process in psutil.process_iter():
    if process.pid == os.getpid():
        continue
    command = " ".join(process.cmdline())
    for name in ("model_service_worker", "ModelServer", "nginx", "container/serve"):
        if name in command:
            found.setdefault(name, []).append(process.memory_info().rss >> 20)
print(json.dumps(found))
"""


@contextlib.contextmanager
def serving(image: str, model: Path) -> Iterator[str]:
    """The id of a container that has been started, and may not answer yet."""
    volume = ("--volume", f"{model}:/opt/ml/model:ro", "--publish", f"127.0.0.1::{PORT}")
    container = docker("run", "--detach", *MEMORY, *OTHER_LIMITS, *volume, image, "serve")
    try:
        yield container
    finally:
        docker("rm", "--force", "--volumes", container)


def ask(container: str, body: bytes) -> int:
    """The status of a prediction; 0 as long as nothing listens."""
    host, _, port = docker("port", container, f"{PORT}/tcp").splitlines()[0].rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        return connection.getresponse().status
    return 0


def measure(image: str, model: Path) -> dict[str, Any]:
    """One start, one answer, one large request.

    Raises:
        SystemExit: there was no answer.
    """
    text = "word " * 4_000
    large = json.dumps([text] * (PAYLOAD_BYTES // (len(text) + 4))).encode()
    start = time.monotonic()
    with serving(image, model) as container:
        while ask(container, b'"good"') != http.HTTPStatus.OK:
            if time.monotonic() - start > START_SECONDS:
                raise SystemExit(f"error: no answer within {START_SECONDS} s")
            time.sleep(0.1)
        cold_start = time.monotonic() - start
        processes = json.loads(docker("exec", container, "python", "-c", PROCESSES))
        start = time.monotonic()
        status = ask(container, large)
        if status != http.HTTPStatus.OK:
            raise SystemExit(f"error: a request of 4 MB was answered with {status}")
        return {
            "cold_start_seconds": round(cold_start, 1),
            "large_request_seconds": round(time.monotonic() - start, 1),
            "peak_memory_mib": int(docker("exec", container, "sh", "-c", f"{PEAK} || true").split()[0]) >> 20,
            "processes_mib": processes,
        }


def main() -> None:
    """Train, start a few times, report."""
    parser = argparse.ArgumentParser(prog="benchmarks/run.sh serverless")
    parser.add_argument("--image", default="sagemaker-sentiment-lstm", help="as build_and_push.sh made it")
    parser.add_argument("--model", type=Path, help="a model directory (default: train one, in seconds)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = arguments.model or material.train(arguments.image, Path(folder) / "ml")
        rounds = [measure(arguments.image, model.resolve()) for _ in range(ROUNDS)]
    save(
        "serverless",
        {
            "seed": material.SEED,
            "cold_start_seconds_median": statistics.median(found["cold_start_seconds"] for found in rounds),
            "peak_memory_mib_max": max(found["peak_memory_mib"] for found in rounds),
            "rounds": rounds,
        },
    )


if __name__ == "__main__":
    main()
