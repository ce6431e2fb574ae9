"""Cold start and memory of the image as a serverless endpoint.

The container has 1 GB, the smallest size that SageMaker offers, one CPU, because the CPU share follows the
memory, and a file system that is read-only except for /tmp. The model has the default sizes.
"""

import http
import json
import statistics
import time
from pathlib import Path
from typing import Any

from benchmarks.harness import save
from benchmarks.serving import fixtures
from benchmarks.serving.docker import docker
from benchmarks.serving.servers import OURS, Server

LIMITS = ("--memory=1g", "--memory-swap=1g", "--cpus=1", "--read-only", "--tmpfs=/tmp")
# The largest request that SageMaker sends to a serverless endpoint.
PAYLOAD_BYTES = 4 * 10**6
ROUNDS = 5

PEAK = "cat /sys/fs/cgroup/memory.peak /sys/fs/cgroup/memory/memory.max_usage_in_bytes 2>/dev/null"
# Resident memory in MiB by a part of the command line; the larger of a worker's two processes is the worker.
PROCESSES = """
import json, os, psutil
memory = {}
for process in psutil.process_iter():
    if process.pid == os.getpid():
        continue
    command = " ".join(process.cmdline())
    for name in ("model_service_worker", "ModelServer", "nginx", "container/serve"):
        if name in command:
            memory.setdefault(name, []).append(process.memory_info().rss >> 20)
print(json.dumps(memory))
"""


def measure(image: str, model: Path) -> dict[str, Any]:
    """Start once, wait for the first answer, and send one large request.

    Raises:
        SystemExit: there was no answer.
    """
    text = "word " * 4_000
    large = json.dumps([text] * (PAYLOAD_BYTES // (len(text) + 4))).encode()
    start = time.monotonic()
    with Server(OURS, image, model, LIMITS) as server:
        cold_start = time.monotonic() - start
        processes = json.loads(docker("exec", server.id, "python", "-c", PROCESSES))
        start = time.monotonic()
        status = server.post(large)
        if status != http.HTTPStatus.OK:
            raise SystemExit(f"error: status {status} for a request of 4 MB")
        return {
            "cold_start_seconds": round(cold_start, 1),
            "large_request_seconds": round(time.monotonic() - start, 1),
            "peak_memory_mib": int(docker("exec", server.id, "sh", "-c", f"{PEAK} || true").split()[0]) >> 20,
            "processes_mib": processes,
        }


def main() -> None:
    """Start a few times, and save."""
    arguments = fixtures.make_parser("serverless", __doc__).parse_args()
    with fixtures.prepare(arguments) as (_, model):
        rounds = [measure(arguments.image, model) for _ in range(ROUNDS)]
    save(
        "serverless",
        {
            "seed": fixtures.SEED,
            "cold_start_seconds_median": statistics.median(
                figures["cold_start_seconds"] for figures in rounds
            ),
            "peak_memory_mib_max": max(figures["peak_memory_mib"] for figures in rounds),
            "rounds": rounds,
        },
    )


if __name__ == "__main__":
    main()
