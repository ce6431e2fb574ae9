"""How the image holds under load: half an hour near its limit, and half an hour of killed workers.

First the peak is measured, with 32 requests in flight. Then requests come at 70 % of it, at a constant rate,
whatever becomes of the answers: no error, no growth of memory, a flat p99. Then at 40 %, and a worker is
killed every 10 seconds: at most the requests that it was working on may fail. Two workers at least, so that
one is left; one review a request; the sender has cores of its own.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.report import save
from benchmarks.serving import constant_rate, docker, material, wrk
from benchmarks.serving.holding import Kill, summarize, summarize_kills
from benchmarks.serving.servers import OURS, Server

PEAK_CONCURRENCY = 32
PEAK_SECONDS = 30
STEADY_SHARE = 0.7
KILLS_SHARE = 0.4
KILL_SECONDS = 10
SAMPLE_SECONDS = 60

KILL_WORKER = docker.HERE / "kill_worker.py"


def watch(server: Server, sender: subprocess.Popen[bytes], kill_until: float) -> tuple[list[int], list[Kill]]:
    """Look at the memory while requests are sent, and kill workers for the first seconds of it.

    Returns:
        bytes, one sample a minute; and when workers were killed.
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
        raise SystemExit("error: the sender failed; its messages are above")
    return memory, kills


def kill_worker(server: Server) -> Kill | None:
    """Kill one of the server's workers; None if there is none that has loaded the model."""
    command = ["docker", "exec", "--interactive", server.id, "python", "-"]
    with KILL_WORKER.open("rb") as program:
        done = subprocess.run(command, stdin=program, stdout=subprocess.PIPE, text=True, check=False)
    return Kill(*map(float, done.stdout.split())) if done.stdout else None


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="benchmarks/run.sh soak")
    parser.add_argument("--image", default="sagemaker-sentiment-lstm", help="as build_and_push.sh made it")
    parser.add_argument("--model", type=Path, help="a model directory (default: train one, in half a minute)")
    parser.add_argument("--minutes", type=float, default=30, help="of each of the two parts")
    return parser.parse_args()


def soak(server: Server, generator: str, folder: Path, cores: docker.Cores, seconds: float) -> dict[str, Any]:
    """The three parts, one after the other."""
    # Twice: the first time warms it up.
    for _ in range(2):
        peak = wrk.measure(server, generator, folder, cores, PEAK_CONCURRENCY, PEAK_SECONDS)
    figures: dict[str, Any] = {"peak_requests_per_second": peak.requests_per_second}
    print(figures, file=sys.stderr)
    for name, share, kill_until in (("steady", STEADY_SHARE, 0.0), ("kills", KILLS_SHARE, seconds)):
        rate = round(share * peak.requests_per_second, 1)
        with constant_rate.sender(server, generator, folder, cores, rate, seconds) as sender:
            memory, kills = watch(server, sender, kill_until)
        requests = constant_rate.read(folder)
        figures[name] = {"requests_per_second": rate, **summarize(requests, memory)}
        if kill_until:
            figures[name] |= summarize_kills(requests, kills)
        print(name, figures[name], file=sys.stderr)
    return figures


def main() -> None:
    """Measure the peak, soak, kill, and report."""
    arguments = parse_arguments()
    # Like Ctrl-C: it ends the containers too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cores = docker.share_out(os.sched_getaffinity(0))
    workers = max(2, cores.workers)
    generator = docker.build("generator", arguments.image)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        material.write_bodies(folder)
        model = arguments.model or material.train(arguments.image, folder / "ml")
        with Server(OURS, arguments.image, model.resolve(), OURS.options(cores, workers)) as server:
            figures = soak(server, generator, folder, cores, arguments.minutes * 60)
    save(
        "soak",
        {
            "seed": material.SEED,
            "cores": cores._asdict() | {"workers": workers},
            "minutes": arguments.minutes,
            **figures,
        },
    )


if __name__ == "__main__":
    main()
