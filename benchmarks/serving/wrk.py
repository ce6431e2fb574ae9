"""One measurement by wrk: https://github.com/wg/wrk."""

import json
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving.docker import Cores, docker
from benchmarks.serving.servers import Server

TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Measurement:
    """What wrk saw.

    Attributes:
        requests_per_second: answers of status 2xx.
        p50_ms, p95_ms, p99_ms: latencies of all answers, whatever their status.
        errors: answers by other statuses, and by "socket" and "timeout".
        cpu_ms_per_answer: what the server's container used of its cores for an answer of status 2xx.
    """

    requests_per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    errors: dict[str, int]
    cpu_ms_per_answer: float | None


def measure(
    server: Server, generator: str, folder: Path, cores: Cores, concurrency: int, seconds: int
) -> Measurement:
    """Keep ``concurrency`` requests in flight for some seconds.

    Args:
        server: whom to ask.
        generator: the image with wrk.
        folder: holds ``bodies.jsonl``.
        cores: where the generator runs.
        concurrency: connections, each with one request at a time.
        seconds: how long.
    """
    threads = min(concurrency, len(cores.generator.split(",")))
    before = server.cpu_seconds()
    output = docker(
        *("run", "--rm", "--network", f"container:{server.id}", "--cpuset-cpus", cores.generator),
        *("--volume", f"{folder}:/load:ro", generator),
        *("wrk", f"--threads={threads}", f"--connections={concurrency}", f"--duration={seconds}s"),
        *(f"--timeout={TIMEOUT_SECONDS}s", "--script=/opt/generator/wrk.lua", server.url),
        *("--", "/load/bodies.jsonl"),
    )
    return parse(output, server.cpu_seconds() - before)


def parse(output: str, cpu_seconds: float) -> Measurement:
    """A measurement from what wrk and its script printed.

    Raises:
        SystemExit: the script printed nothing.
    """
    line = next((line for line in output.splitlines() if line.startswith("{")), None)
    if line is None:
        raise SystemExit(f"error: wrk gave no result, but printed:\n{output}")
    found = json.loads(line)
    statuses: dict[str, int] = found["statuses"]
    answers = sum(count for status, count in statuses.items() if status.startswith("2"))
    errors = {status: count for status, count in statuses.items() if not status.startswith("2")}
    errors |= {"socket": found["socket_errors"], "timeout": found["timeouts"]}
    return Measurement(
        requests_per_second=round(answers / found["seconds"], 1),
        p50_ms=round(found["p50"], 2),
        p95_ms=round(found["p95"], 2),
        p99_ms=round(found["p99"], 2),
        errors={name: count for name, count in errors.items() if count},
        cpu_ms_per_answer=round(cpu_seconds * 1000 / answers, 2) if answers else None,
    )
