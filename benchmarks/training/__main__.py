"""Training speed, compared with the same network trained the way tutorials do.

    benchmarks/run.sh training [--accuracy 0.85]

Both sides train the network of the preset ``baseline``: the same 6,400 of the 25,000 reviews, vocabulary,
sizes and number of threads; denormal numbers are flushed to zero. The first step of each process is not
measured. Runs on a GPU if there is one; the result of a precision that the hardware lacks is null.

Then one whole job of each preset and one plain one: see time_to_accuracy.py.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.harness import alternate, link_reviews, save
from benchmarks.training import time_to_accuracy
from benchmarks.training.plain import BASELINE, PlainTrainer
from byoc.checkpoints import Checkpoints
from byoc.distributed.process_group import SINGLE_PROCESS
from byoc.errors import TrainingError
from byoc.signals import StopFlag
from sentiment.data import datasets
from sentiment.model.network import SentimentLSTM
from sentiment.model.precision import Hardware
from sentiment.settings import NetworkSettings
from sentiment.text.sequences import Examples
from sentiment.training.loader import Prefetcher, Targets
from sentiment.training.memory import set_up_torch
from sentiment.training.trainer import Trainer

REVIEW_COUNT = 6_400
PLAIN_STEPS = 4
PRECISIONS = ("fp32", "bf16", "fp16")


def load() -> tuple[Examples, int]:
    """A random sample of the training reviews, and the size of the vocabulary."""
    with tempfile.TemporaryDirectory() as base:
        data = datasets.load({"training": link_reviews(Path(base))}, BASELINE)
    sample = np.random.default_rng(BASELINE.seed).permutation(len(data.training.labels))[:REVIEW_COUNT]
    examples = Examples(data.training.sequences.take(sample), data.training.labels[sample])
    return examples, len(data.vocabulary)


def measure_plain(precision: str) -> float:
    """Reviews per second of plain training, over four steps."""
    trainer = PlainTrainer(*load(), precision)
    trainer.step()
    start = time.perf_counter()
    reviews = sum(trainer.step() for _ in range(PLAIN_STEPS))
    return reviews / (time.perf_counter() - start)


def measure_shipped(precision: str) -> float:
    """Reviews per second of the shipped trainer, over one epoch."""
    examples, vocab_size = load()
    settings = NetworkSettings(vocab_size, BASELINE.embedding_dim, BASELINE.hidden_dim, BASELINE.pooling)
    network = SentimentLSTM(settings, BASELINE.dropout, BASELINE.embedding_dropout).to(SINGLE_PROCESS.device)
    targets = Targets(examples.sequences, examples.labels.astype(np.float32))
    trainer = Trainer(network, targets, replace(BASELINE, precision=precision, epochs=2))
    for batch in Prefetcher(targets, trainer.batches()[:1], trainer.state.device):
        trainer.state.optimization.step(batch, 0)
    start = time.perf_counter()
    trainer.train_epoch(StopFlag(), Checkpoints(Path("none"), 1))
    return REVIEW_COUNT / (time.perf_counter() - start)


def is_supported(precision: str) -> bool:
    """Whether the hardware has a precision."""
    try:
        return Hardware.from_device(SINGLE_PROCESS.device).resolve(precision) == precision
    except TrainingError:
        return False


def main() -> None:
    """Compare in every supported precision, run the whole jobs, and save."""
    parser = argparse.ArgumentParser(
        prog="benchmarks/run.sh training", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--accuracy", type=float, default=0.85)
    accuracy = parser.parse_args().accuracy
    figures = {
        "device": Hardware.from_device(SINGLE_PROCESS.device).name,
        "threads": torch.get_num_threads(),
        "seed": BASELINE.seed,
        **{
            name: alternate("benchmarks.training", ("shipped", "plain"), name) if is_supported(name) else None
            for name in PRECISIONS
        },
    }
    save("training", figures)
    whole_jobs = {"accuracy": accuracy, **time_to_accuracy.measure(accuracy)}
    save("training", figures | {"time_to_accuracy": whole_jobs})


if __name__ == "__main__":
    if sys.argv[1:2] in (["plain"], ["shipped"]):
        set_up_torch(BASELINE.seed)
        print(measure_plain(sys.argv[2]) if sys.argv[1] == "plain" else measure_shipped(sys.argv[2]))
    else:
        main()
