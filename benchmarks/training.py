"""How fast the network trains: the shipped loop against the same network trained the plain way.

Both sides train on the same 6,400 of the 25,000 real reviews, with all stop words left out, the same widths
of embedding and LSTM, the same number of threads, and denormal numbers flushed to zero before the first
tensor operation. Each side runs in a process of its own, they take turns, and the figure is the median of
the rounds' ratios of reviews per second. The first step of each process is not counted.

On a GPU where there is one. A precision that the hardware does not have is reported as null.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.plain_training import PlainLSTM, PlainTraining
from benchmarks.report import REVIEWS, save
from sentiment import datasets
from sentiment.batches import Examples, Sequences
from sentiment.checkpoints import Checkpoints
from sentiment.errors import TrainingError
from sentiment.feed import Feed
from sentiment.hyperparameters import Hyperparameters
from sentiment.model import SentimentLSTM
from sentiment.precision import Hardware
from sentiment.ranks import ALONE
from sentiment.settings import NetworkSettings
from sentiment.stop import Stop
from sentiment.targets import Targets
from sentiment.training import TrainingLoop, set_up_torch

ROUNDS = 3
REVIEW_COUNT = 6_400
PLAIN_STEPS = 4
HYPERPARAMETERS = Hyperparameters(
    stop_words="all",
    truncate="head",
    epochs=1,
    hidden_dim=200,
    embedding_dim=64,
    max_length=500,
    pooling="max",
    word_vectors="random",
    phrases=0,
    evidence="none",
    learning_rate=2e-3,
    embedding_rate=1,
    embedding_dropout=0.5,
    word_dropout=0,
    averaging=0,
    precision="fp32",
)


def load() -> tuple[int, Examples]:
    """The size of the vocabulary, and the first reviews of the training part in random order."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "reviews.csv").symlink_to(REVIEWS)
        data = datasets.load({"training": Path(folder)}, HYPERPARAMETERS)
    chosen = torch.randperm(len(data.training.labels))[:REVIEW_COUNT].numpy()
    sequences = [data.training.sequences[i].tolist() for i in chosen]
    examples = Examples(Sequences.of(sequences), data.training.labels[chosen])
    return len(data.vocabulary), examples


def measure_plain(precision: str) -> float:
    """Reviews per second of the plain way."""
    vocab_size, examples = load()
    network = PlainLSTM(vocab_size, HYPERPARAMETERS.embedding_dim, HYPERPARAMETERS.hidden_dim)
    sequences = [examples.sequences[i] for i in range(REVIEW_COUNT)]
    loop = PlainTraining(network, sequences, examples.labels, precision, ALONE.device)
    loop.step()
    start = time.perf_counter()
    reviews = sum(loop.step() for _ in range(PLAIN_STEPS))
    return reviews / (time.perf_counter() - start)


def measure_shipped(precision: str) -> float:
    """Reviews per second of the shipped loop, over one epoch."""
    vocab_size, examples = load()
    hyperparameters = replace(HYPERPARAMETERS, precision=precision)
    settings = NetworkSettings(
        vocab_size, hyperparameters.embedding_dim, hyperparameters.hidden_dim, hyperparameters.pooling
    )
    network = SentimentLSTM(settings, hyperparameters.dropout, hyperparameters.embedding_dropout)
    network.to(ALONE.device)
    targets = Targets.certain(examples)
    loop = TrainingLoop(network, targets, replace(hyperparameters, epochs=2))
    for batch in Feed(targets, loop.batches()[:1], loop.device):
        loop.optimization.step(batch, 0)
    start = time.perf_counter()
    loop.run_epoch(Stop(), Checkpoints(Path("none"), 1))
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
    """Compare in every precision that the hardware has, and report."""
    save(
        "training",
        {
            "device": Hardware.of(ALONE.device).name,
            "threads": torch.get_num_threads(),
            "seed": HYPERPARAMETERS.seed,
            **{name: compare(name) if has(name) else None for name in ("fp32", "bf16", "fp16")},
        },
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        set_up_torch(HYPERPARAMETERS.seed)
        print(measure_plain(sys.argv[2]) if sys.argv[1] == "plain" else measure_shipped(sys.argv[2]))
    else:
        main()
