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
REVIEWS_SENT = 3_200  # a little more than fits
ROUNDS = 5

PEAK = "cat /sys/fs/cgroup/memory.peak /sys/fs/cgroup/memory/memory.max_usage_in_bytes 2>/dev/null"
# By a part of the command line; the larger of a worker's two processes is the worker.
PROCESSES = ("model_service_worker", "ModelServer", "nginx", "container/serve")


def resident_mib(container: str) -> dict[str, list[int]]:
    """Resident memory of the processes."""
    lines = docker("top", container, "-eo", "pid,rss,args").splitlines()[1:]
    processes = [line.split(maxsplit=2)[1:] for line in lines]
    return {name: [int(kib) >> 10 for kib, command in processes if name in command] for name in PROCESSES}


def measure(image: str, model: Path) -> dict[str, Any]:
    """Start once, wait for the first answer, and send one large request of real reviews.

    Raises:
        SystemExit: there was no answer.
    """
    texts = [row["text"] for row in fixtures.sample(REVIEWS_SENT)]
    while len(large := json.dumps(texts).encode()) > PAYLOAD_BYTES:
        texts.pop()
    start = time.monotonic()
    with Server(OURS, image, model, LIMITS) as server:
        cold_start = time.monotonic() - start
        processes = resident_mib(server.id)
        start = time.monotonic()
        status = server.post(large)
        if status != http.HTTPStatus.OK:
            raise SystemExit(f"error: status {status} for a request of 4 MB")
        return {
            "cold_start_seconds": round(cold_start, 1),
            "large_request_texts": len(texts),
            "large_request_seconds": round(time.monotonic() - start, 1),
            "peak_memory_mib": int(docker("exec", server.id, "sh", "-c", f"{PEAK} || true").split()[0]) >> 20,
            "processes_mib": processes,
        }


def main() -> None:
    """Start a few times, and save."""
    arguments = fixtures.make_parser("serverless", __doc__).parse_args()
    with fixtures.prepare(arguments) as (_, model):
        rounds = [measure(arguments.image, model) for _ in range(ROUNDS)]
    summary = {
        "seed": fixtures.SEED,
        "cold_start_seconds_median": statistics.median(figures["cold_start_seconds"] for figures in rounds),
        "peak_memory_mib_max": max(figures["peak_memory_mib"] for figures in rounds),
    }
    save("serverless", {**summary, "rounds": rounds})


if __name__ == "__main__":
    main()
