"""How long it takes until a network is right so often: each recipe, and recipe=seed trained the plain way.

A part of benchmarks/training.py. Over the 25,000 real reviews, of which every job holds out the same tenth by
text, in fp32; `best` has no reviews without labels there. The time is that from the start of a process to the
end of the first epoch behind which the accuracy on that tenth is as high, reading and head start included.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.plain_training import BATCH_SIZE, PlainLSTM, PlainTraining, pad_all
from benchmarks.report import REVIEWS, ROOT
from byoc.checkpoints import Checkpoints
from byoc.distributed.process_group import ALONE
from byoc.opt_ml import OptMl
from byoc.signals import StopFlag
from sentiment.hyperparameters import RECIPES, Hyperparameters
from sentiment.text.sequences import Examples
from sentiment.training.run import prepare
from sentiment.training.trainer import set_up_torch

_EPOCH = re.compile(r"epoch=(\d+);.* validation_accuracy=([\d.]+);.* reviews_per_second=(\d+);")

Found = dict[str, int | None]


def measure(accuracy: float) -> dict[str, Found]:
    """One job after the other: the plain way, and each recipe."""
    with tempfile.TemporaryDirectory() as base:
        channel = Path(base) / "input" / "data" / "training"
        channel.mkdir(parents=True)
        (channel / "reviews.csv").symlink_to(REVIEWS)
        commands = {"plain": [sys.executable, "-m", "benchmarks.time_to_accuracy"]}
        for recipe in RECIPES:
            program = [sys.executable, str(ROOT / "code" / "train.py")]
            commands[recipe] = [*program, f"--recipe={recipe}", "--precision=fp32"]
        return {name: follow(command, Path(base), accuracy) for name, command in commands.items()}


def follow(command: list[str], base: Path, accuracy: float) -> Found:
    """Run a program that prints a line an epoch until it is right so often.

    Returns:
        when that was, in seconds, and behind which epoch, or None if it never was; and reviews per second,
        the median of the epochs.
    """
    start = time.perf_counter()
    variables = {"SAGEMAKER_BASE_DIR": str(base), "PYTHONUNBUFFERED": "1"}
    found: Found = {"seconds": None, "epoch": None}
    rates = []
    with subprocess.Popen(command, env=os.environ | variables, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            sys.stderr.write(line)
            epoch = _EPOCH.match(line)
            if epoch:
                rates.append(int(epoch[3]))
            if epoch and float(epoch[2]) >= accuracy:
                process.kill()
                found = {"seconds": round(time.perf_counter() - start), "epoch": int(epoch[1])}
                break
    if found["seconds"] is None and process.returncode:
        raise SystemExit(f"error: {command} failed")
    return found | {"reviews_per_second": round(statistics.median(rates))}


def train_plainly(base: Path) -> None:
    """Train the plain way for as many epochs as the seed, and print a line after each."""
    given = Hyperparameters.parse({"recipe": "seed", "precision": "fp32"})
    job = prepare(OptMl(base), given, ALONE, StopFlag(), Checkpoints(Path("none"), 1))
    shape, training = job.settings, job.data.training
    network = PlainLSTM(shape.vocab_size, shape.embedding_dim, shape.hidden_dim)
    sequences = [training.sequences[i] for i in range(len(training.labels))]
    loop = PlainTraining(network, sequences, training.labels, "fp32", ALONE.device)
    for epoch in range(1, job.hyperparameters.epochs + 1):
        start = time.perf_counter()
        reviews = sum(loop.step() for _ in range(-(-len(training.labels) // BATCH_SIZE)))
        rate = reviews / (time.perf_counter() - start)
        right = is_right(network, job.data.held_out["validation"])
        print(f"epoch={epoch}; validation_accuracy={right.mean():.4f}; reviews_per_second={rate:.0f};")


@torch.inference_mode()
def is_right(network: PlainLSTM, held_out: Examples) -> NDArray[np.bool_]:
    """[reviews] whether the network is right, padded as in training."""
    ids, lengths = pad_all([held_out.sequences[i] for i in range(len(held_out.labels))])
    device = ALONE.device
    logits = [
        network(ids[i : i + BATCH_SIZE].to(device), lengths[i : i + BATCH_SIZE].to(device)).cpu().numpy()
        for i in range(0, len(ids), BATCH_SIZE)
    ]
    found: NDArray[np.bool_] = (np.concatenate(logits) > 0) == (held_out.labels == 1)
    return found


if __name__ == "__main__":
    set_up_torch(Hyperparameters().seed)
    train_plainly(Path(os.environ["SAGEMAKER_BASE_DIR"]))
