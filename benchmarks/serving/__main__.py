"""How the image serves under load, beside the same model behind other servers.

The image, the plain toolkit stack, TorchServe and FastAPI serve one model of the default shape, all through
the same predictor; the image also in bf16, where the processor has it. Each gets the same cores and as many
workers of one thread, and wrk, on other cores, sends real reviews, one a request. The servers take turns,
each freshly started and warmed up; the figures are the medians of the rounds' ratios. Only 2xx answers count.
"""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch

from benchmarks.report import save
from benchmarks.serving import docker, material, wrk
from benchmarks.serving.comparison import (
    ALONE,
    LEAST_RATIO,
    LEAST_RATIO_BF16,
    LOADED,
    Round,
    collect,
    compare,
)
from benchmarks.serving.servers import OTHERS, OURS, OURS_BF16, Kind, Server
from sentiment.model.precision import Hardware

CONCURRENCY = (ALONE, 8, LOADED, 128)
# Java compiles what runs often, at first beside what it runs.
WARM_UP_SECONDS = 15


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="benchmarks/run.sh serving")
    parser.add_argument("--image", default="sagemaker-sentiment-lstm", help="as build_and_push.sh made it")
    parser.add_argument("--model", type=Path, help="a model directory (default: train one, in half a minute)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=10, help="of each measurement")
    return parser.parse_args()


def measure(server: Server, generator: str, load: Path, cores: docker.Cores, seconds: int) -> Round:
    """One round of one server."""
    wrk.measure(server, generator, load, cores, LOADED, WARM_UP_SECONDS)
    found = {}
    for concurrency in CONCURRENCY:
        found[concurrency] = wrk.measure(server, generator, load, cores, concurrency, seconds)
        print(f"{server.kind.name}, concurrency {concurrency}: {found[concurrency]}", file=sys.stderr)
    return found


def take_turns(
    images: Mapping[Kind, str], generator: str, load: Path, model: Path, arguments: argparse.Namespace
) -> tuple[dict[str, list[Round]], dict[str, list[int]]]:
    """Measure all servers, as often as there are rounds; returns also the peak memory of each, in MiB."""
    cores = docker.share_out(os.sched_getaffinity(0))
    rounds: dict[str, list[Round]] = {kind.name: [] for kind in images}
    memory: dict[str, list[int]] = {kind.name: [] for kind in images}
    for _ in range(arguments.rounds):
        for kind, image in images.items():
            with Server(kind, image, model, kind.options(cores, cores.workers)) as server:
                rounds[kind.name].append(measure(server, generator, load, cores, arguments.seconds))
                memory[kind.name].append(server.peak_bytes() // 2**20)
    return rounds, memory


def main() -> None:
    """Build, train, take turns, and report."""
    arguments = parse_arguments()
    # Like Ctrl-C: it ends the containers too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cores = docker.share_out(os.sched_getaffinity(0))
    has_bf16 = Hardware.of(torch.device("cpu")).resolve("auto") == "bf16"
    ours = [OURS, OURS_BF16] if has_bf16 else [OURS]
    images = dict.fromkeys(ours, arguments.image)
    images |= {kind: docker.build(kind.name, arguments.image) for kind in OTHERS}
    generator = docker.build("generator", arguments.image)
    with tempfile.TemporaryDirectory() as folder:
        load = Path(folder)
        material.write_bodies(load)
        model = arguments.model or material.train(arguments.image, load / "ml")
        load_average = os.getloadavg()[0]
        rounds, memory = take_turns(images, generator, load, model.resolve(), arguments)
    save(
        "serving",
        {
            "seed": material.SEED,
            "cores": cores._asdict(),
            "load_average_before": round(load_average, 2),
            "seconds": arguments.seconds,
            "servers": {
                name: {"concurrency": collect(found), "peak_memory_mib": memory[name]}
                for name, found in rounds.items()
            },
            "beside_ours": compare(rounds, OURS.name, LEAST_RATIO),
            "beside_ours_bf16": compare(rounds, OURS_BF16.name, LEAST_RATIO_BF16) if has_bf16 else None,
        },
    )


if __name__ == "__main__":
    main()
