"""Stability under load: half an hour near the limit, and half an hour with killed workers.

The peak rate is measured with 32 requests in flight. Requests then arrive at 70 % of it, at a constant rate
regardless of the responses: expected are no errors, constant memory and a constant p99. Then they arrive at
40 %, and a worker is killed every 10 seconds: at most the requests of that worker may fail. At least two
workers, so that one remains; one review per request; the generator has its own cores.
"""

import os
import subprocess
import sys
import time
from typing import Any

from benchmarks.harness import save
from benchmarks.serving import docker, fixtures
from benchmarks.serving.load import Generator
from benchmarks.serving.servers import OURS, Server
from benchmarks.serving.soak_summary import Kill, summarize, summarize_kills

PEAK_CONCURRENCY = 32
PEAK_SECONDS = 30
STEADY_LOAD = 0.7
KILLS_LOAD = 0.4
KILL_SECONDS = 10
SAMPLE_SECONDS = 60

KILL_WORKER = docker.HERE / "kill_worker.py"


def watch(server: Server, sender: subprocess.Popen[bytes], kill_until: float) -> tuple[list[int], list[Kill]]:
    """Sample the memory while requests are sent, and kill workers during the first ``kill_until`` seconds.

    Returns:
        bytes in use, one sample per minute; and the kills.
    """
    memory: list[int] = []
    kills: list[Kill] = []
    start = time.monotonic()
    next_kill = KILL_SECONDS
    while sender.poll() is None:
        passed = time.monotonic() - start
        if passed >= SAMPLE_SECONDS * (len(memory) + 1):
            memory.append(server.memory_bytes())
        if next_kill <= passed < kill_until:
            next_kill += KILL_SECONDS
            kill = kill_worker(server)
            kills += [kill] if kill else []
        time.sleep(0.2)
    if sender.returncode:
        raise SystemExit("error: the load generator failed; its messages are above")
    return memory, kills


def kill_worker(server: Server) -> Kill | None:
    """Kill one worker; None if none has loaded the model."""
    command = ["docker", "exec", "--interactive", server.id, "python", "-"]
    with KILL_WORKER.open("rb") as program:
        done = subprocess.run(command, stdin=program, stdout=subprocess.PIPE, text=True, check=False)
    return Kill(*map(float, done.stdout.split())) if done.stdout else None


def soak(server: Server, generator: Generator, seconds: float) -> dict[str, Any]:
    """Measure the peak rate, then run both parts of ``seconds`` each."""
    # Twice: the first run warms up.
    for _ in range(2):
        peak = generator.measure(server, PEAK_CONCURRENCY, PEAK_SECONDS).requests_per_second
    figures: dict[str, Any] = {"peak_requests_per_second": peak}
    for name, load, kill_until in (("steady", STEADY_LOAD, 0.0), ("kills", KILLS_LOAD, seconds)):
        rate = round(load * peak, 1)
        with generator.send(server, rate, seconds) as sender:
            memory, kills = watch(server, sender, kill_until)
        requests = generator.sent()
        figures[name] = {"requests_per_second": rate, **summarize(requests, memory)}
        if kill_until:
            figures[name] |= summarize_kills(requests, kills)
        print(name, figures[name], file=sys.stderr)
    return figures


def main() -> None:
    """Soak one container, and save."""
    parser = fixtures.make_parser("soak", __doc__)
    parser.add_argument("--minutes", type=float, default=30, help="of each of the two parts")
    arguments = parser.parse_args()
    cores = docker.divide_cores(os.sched_getaffinity(0))
    cores = cores._replace(workers=max(2, cores.workers))
    with fixtures.prepare(arguments) as (folder, model):
        generator = Generator(arguments.image, folder, cores)
        with Server(OURS, arguments.image, model, OURS.options(cores, cores.workers)) as server:
            figures = soak(server, generator, arguments.minutes * 60)
    header = {"seed": fixtures.SEED, "cores": cores._asdict(), "minutes": arguments.minutes}
    save("soak", header | figures)


if __name__ == "__main__":
    main()
