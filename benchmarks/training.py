"""How fast the network trains: each recipe beside the plain system of recipe=seed trained the plain way.

The seed and the plain way have the same words, the same widths of embedding and LSTM, the same number of
threads, and denormal numbers flushed to zero before the first tensor operation; the other recipes read more
words, phrases among them, with wider vectors. All train on 3,200 of the 25,000 real reviews. Each runs in a
process of its own, they take turns, and a ratio is the median of the rounds' ratios of reviews per second.
Neither the head start nor the first step of each process is counted; word vectors begin at random, and
nothing is learned from teachers, which changes nothing about the speed.

On a GPU where there is one. A precision that the hardware does not have is reported as null.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import train
from benchmarks.plain_training import PlainLSTM, PlainTraining
from benchmarks.report import REVIEWS, save
from sentiment.checkpoints import Checkpoints
from sentiment.errors import TrainingError
from sentiment.feed import Feed
from sentiment.hyperparameters import RECIPES, Hyperparameters
from sentiment.opt_ml import OptMl
from sentiment.precision import Hardware
from sentiment.ranks import ALONE
from sentiment.stop import Stop
from sentiment.targets import Targets
from sentiment.training import TrainingLoop, set_up_torch

ROUNDS = 3
REVIEW_COUNT = 3_200
PLAIN_STEPS = 4
PLAIN = "plain"


def prepared(recipe: str, precision: str) -> train.Job:
    """A job of the recipe over all reviews, before its first step."""
    given = {"recipe": recipe, "word_vectors": "random", "distillation": 0, "precision": precision}
    with tempfile.TemporaryDirectory() as base:
        channel = Path(base) / "input" / "data" / "training"
        channel.mkdir(parents=True)
        (channel / "reviews.csv").symlink_to(REVIEWS)
        return train.prepare(OptMl(Path(base)), Hyperparameters.parse(given), ALONE, Stop(), None)


def some(targets: Targets, seed: int) -> Targets:
    """As many of the reviews as are trained on, the same for every recipe."""
    chosen = np.random.default_rng(seed).permutation(len(targets.probabilities))[:REVIEW_COUNT]
    evidence = targets.evidence
    return Targets(
        targets.sequences.take(chosen),
        targets.probabilities[chosen],
        evidence and evidence._replace(part=evidence.part[chosen]),
    )


def measure_plain(precision: str) -> float:
    """Reviews per second of the plain way."""
    job = prepared("seed", precision)
    targets = some(job.loop.training, job.hyperparameters.seed)
    shape = job.settings
    network = PlainLSTM(shape.vocab_size, shape.embedding_dim, shape.hidden_dim)
    sequences = [targets.sequences[i] for i in range(REVIEW_COUNT)]
    loop = PlainTraining(network, sequences, targets.probabilities, precision, ALONE.device)
    loop.step()
    start = time.perf_counter()
    reviews = sum(loop.step() for _ in range(PLAIN_STEPS))
    return reviews / (time.perf_counter() - start)


def measure(recipe: str, precision: str) -> float:
    """Reviews per second of a recipe, over one epoch."""
    job = prepared(recipe, precision)
    targets = some(job.loop.training, job.hyperparameters.seed)
    loop = TrainingLoop(job.loop.network, targets, replace(job.hyperparameters, epochs=2))
    for batch in Feed(targets, loop.batches()[:1], loop.device):
        loop.optimization.step(batch, 0)
    start = time.perf_counter()
    loop.run_epoch(Stop(), Checkpoints(Path("none"), 1))
    return REVIEW_COUNT / (time.perf_counter() - start)


def compare(precision: str) -> dict[str, object]:
    """Take turns; everybody's rates, and the median ratio of each to the plain way's."""
    rates: dict[str, list[float]] = {name: [] for name in (PLAIN, *RECIPES)}
    for _ in range(ROUNDS):
        for side, found in rates.items():
            command = [sys.executable, "-m", "benchmarks.training", side, precision]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            found.append(float(output.splitlines()[-1]))
    return {
        "reviews_per_second": {side: [round(rate) for rate in found] for side, found in rates.items()},
        "ratio": {
            side: round(statistics.median(map(float.__truediv__, found, rates[PLAIN])), 2)
            for side, found in rates.items()
        },
    }


def has(precision: str) -> bool:
    """Whether the hardware has a precision."""
    try:
        return Hardware.of(ALONE.device).resolve(precision) == precision
    except TrainingError:
        return False


def main() -> None:
    """Compare in every precision that the hardware has, and report."""
    save(
        "training",
        {
            "device": Hardware.of(ALONE.device).name,
            "threads": torch.get_num_threads(),
            "seed": Hyperparameters().seed,
            **{name: compare(name) if has(name) else None for name in ("fp32", "bf16", "fp16")},
        },
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        set_up_torch(Hyperparameters().seed)
        print(measure_plain(sys.argv[2]) if sys.argv[1] == PLAIN else measure(*sys.argv[1:]))
    else:
        main()
