"""Throughput and latency of the image, compared with other servers of the same model.

The image, the plain toolkit stack, TorchServe and FastAPI serve one model with the default sizes through the
same predictor; the image also in bf16, if the processor supports it. Each gets the same cores and as many
single-threaded workers; wrk runs on the other cores and sends one real review per request. In each round,
every server is started and warmed up in turn; ratios are medians over the rounds. Only responses with status
2xx count.
"""

import os
import sys

import torch

from benchmarks.harness import save
from benchmarks.serving import docker, fixtures
from benchmarks.serving.comparison import IDLE, LOADED, Round, collect, compare
from benchmarks.serving.load import Generator
from benchmarks.serving.servers import ALTERNATIVES, OURS, OURS_BF16, Server
from sentiment.model.precision import Hardware

CONCURRENCY = (IDLE, 8, LOADED, 128)
# Java compiles frequent code at first, while running it.
WARM_UP_SECONDS = 15


def measure(server: Server, generator: Generator, seconds: int) -> Round:
    """One round of one server."""
    generator.measure(server, LOADED, WARM_UP_SECONDS)
    results = {}
    for concurrency in CONCURRENCY:
        results[concurrency] = generator.measure(server, concurrency, seconds)
        print(f"{server.spec.name}, concurrency {concurrency}: {results[concurrency]}", file=sys.stderr)
    return results


def main() -> None:
    """Build, train, measure all servers in turn, and save."""
    parser = fixtures.make_parser("serving", __doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=10, help="of each measurement")
    names = [spec.name for spec in ALTERNATIVES]
    parser.add_argument("--compared", nargs="+", choices=names, default=names, help="the other servers")
    arguments = parser.parse_args()
    alternatives = [spec for spec in ALTERNATIVES if spec.name in arguments.compared]
    cores = docker.divide_cores(os.sched_getaffinity(0))
    has_bf16 = Hardware.from_device(torch.device("cpu")).resolve("auto") == "bf16"
    variants = [OURS, OURS_BF16] if has_bf16 else [OURS]
    images = dict.fromkeys(variants, arguments.image)
    images |= {spec: docker.build(spec.folder, arguments.image) for spec in alternatives}
    rounds: dict[str, list[Round]] = {spec.name: [] for spec in images}
    with fixtures.prepare(arguments) as (folder, model):
        generator = Generator(arguments.image, folder, cores)
        load_average = os.getloadavg()[0]
        for _ in range(arguments.rounds):
            for spec, image in images.items():
                with Server(spec, image, model, spec.options(cores, cores.workers)) as server:
                    rounds[spec.name].append(measure(server, generator, arguments.seconds))
    save(
        "serving" if arguments.compared == names else f"serving-{'-'.join(arguments.compared)}",
        {
            "seed": fixtures.SEED,
            "cores": cores._asdict(),
            "load_average_before": round(load_average, 2),
            "seconds": arguments.seconds,
            "servers": {name: {"concurrency": collect(results)} for name, results in rounds.items()},
            **{
                f"beside_{ours.name}": {
                    spec.name: compare(rounds[ours.name], rounds[spec.name]) for spec in alternatives
                }
                for ours in variants
            },
        },
    )


if __name__ == "__main__":
    main()
