"""How fast the network trains: the shipped loop beside the same network trained the plain way.

    benchmarks/run.sh training [--accuracy 0.85]

Both sides train the network of recipe=seed: the same 6,400 of the 25,000 real reviews, the same lookup table
and widths, the same number of threads, and denormal numbers flushed to zero before the first tensor
operation. Each side runs in a process of its own, they take turns, and the ratio is the median of the rounds'
ratios of reviews per second. The first step of each process is not counted. On a GPU where there is one; a
precision that the hardware does not have is reported as null.

Then whole jobs, one of each recipe and one the plain way: see time_to_accuracy.py.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks import time_to_accuracy
from benchmarks.plain_training import PlainLSTM, PlainTraining
from benchmarks.report import REVIEWS, save
from byoc.checkpoints import Checkpoints
from byoc.distributed.process_group import ALONE
from byoc.errors import TrainingError
from byoc.signals import StopFlag
from sentiment.data import datasets
from sentiment.hyperparameters import Hyperparameters
from sentiment.model.network import SentimentLSTM
from sentiment.model.precision import Hardware
from sentiment.settings import NetworkSettings
from sentiment.text.sequences import Examples
from sentiment.training.loader import Feed
from sentiment.training.targets import Targets
from sentiment.training.trainer import TrainingLoop, set_up_torch

ROUNDS = 3
REVIEW_COUNT = 6_400
PLAIN_STEPS = 4
PRECISIONS = ("fp32", "bf16", "fp16")
SEED = Hyperparameters.parse({"recipe": "seed"})


def load() -> tuple[NetworkSettings, Examples]:
    """The network's shape, and the first reviews of the training part in random order."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "reviews.csv").symlink_to(REVIEWS)
        data = datasets.load({"training": Path(folder)}, SEED)
    chosen = np.random.default_rng(SEED.seed).permutation(len(data.training.labels))[:REVIEW_COUNT]
    settings = NetworkSettings(len(data.vocabulary), SEED.embedding_dim, SEED.hidden_dim, SEED.pooling)
    return settings, Examples(data.training.sequences.take(chosen), data.training.labels[chosen])


def measure_plain(precision: str) -> float:
    """Reviews per second of the plain way."""
    settings, examples = load()
    network = PlainLSTM(settings.vocab_size, settings.embedding_dim, settings.hidden_dim)
    sequences = [examples.sequences[i] for i in range(REVIEW_COUNT)]
    loop = PlainTraining(network, sequences, examples.labels, precision, ALONE.device)
    loop.step()
    start = time.perf_counter()
    reviews = sum(loop.step() for _ in range(PLAIN_STEPS))
    return reviews / (time.perf_counter() - start)


def measure_shipped(precision: str) -> float:
    """Reviews per second of the shipped loop, over one epoch."""
    settings, examples = load()
    network = SentimentLSTM(settings, SEED.dropout, SEED.embedding_dropout).to(ALONE.device)
    targets = Targets.certain(examples)
    loop = TrainingLoop(network, targets, replace(SEED, precision=precision, epochs=2))
    for batch in Feed(targets, loop.batches()[:1], loop.device):
        loop.optimization.step(batch, 0)
    start = time.perf_counter()
    loop.run_epoch(StopFlag(), Checkpoints(Path("none"), 1))
    return REVIEW_COUNT / (time.perf_counter() - start)


def compare(precision: str) -> dict[str, object]:
    """Take turns; the rates of both sides and the median ratio."""
    rates: dict[str, list[float]] = {"shipped": [], "plain": []}
    for _ in range(ROUNDS):
        for side, found in rates.items():
            command = [sys.executable, "-m", "benchmarks.training", side, precision]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            found.append(float(output.splitlines()[-1]))
    ratios = [shipped / plain for shipped, plain in zip(*rates.values(), strict=True)]
    return {
        "reviews_per_second": {side: [round(rate) for rate in found] for side, found in rates.items()},
        "ratio": round(statistics.median(ratios), 2),
    }


def has(precision: str) -> bool:
    """Whether the hardware has a precision."""
    try:
        return Hardware.of(ALONE.device).resolve(precision) == precision
    except TrainingError:
        return False


def main() -> None:
    """Compare in every precision that the hardware has, run the whole jobs, and report."""
    parser = argparse.ArgumentParser(
        prog="benchmarks/run.sh training", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--accuracy", type=float, default=0.85)
    accuracy = parser.parse_args().accuracy
    figures = {
        "device": Hardware.of(ALONE.device).name,
        "threads": torch.get_num_threads(),
        "seed": SEED.seed,
        **{name: compare(name) if has(name) else None for name in PRECISIONS},
    }
    save("training", figures)
    whole_jobs = {"accuracy": accuracy, **time_to_accuracy.measure(accuracy)}
    save("training", figures | {"time_to_accuracy": whole_jobs})


if __name__ == "__main__":
    if sys.argv[1:2] in (["plain"], ["shipped"]):
        set_up_torch(SEED.seed)
        print(measure_plain(sys.argv[2]) if sys.argv[1] == "plain" else measure_shipped(sys.argv[2]))
    else:
        main()
