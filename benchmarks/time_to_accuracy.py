"""How long it takes until a network is right so often: each recipe, and recipe=seed trained the plain way.

    benchmarks/run.sh time_to_accuracy [--accuracy 0.85]

Over the 25,000 real reviews, of which every job holds out the same tenth by text. The time is that from the
start of a process to the end of the first epoch behind which the accuracy on that tenth is as high, reading
and head start included; null if no epoch of the recipe reaches it.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import train
from benchmarks.plain_training import BATCH_SIZE, PlainLSTM, PlainTraining, pad_all
from benchmarks.report import REVIEWS, ROOT, save
from sentiment.batches import Examples
from sentiment.hyperparameters import RECIPES, Hyperparameters
from sentiment.opt_ml import OptMl
from sentiment.ranks import ALONE
from sentiment.stop import Stop
from sentiment.training import set_up_torch

PLAIN = "plain"
_EPOCH = re.compile(r"epoch=(\d+);.* validation_accuracy=([\d.]+);")


def follow(command: list[str], base: Path, accuracy: float) -> dict[str, float] | None:
    """Run a program that prints a line an epoch until it is right so often; when, and behind which epoch."""
    start = time.perf_counter()
    variables = {"SAGEMAKER_BASE_DIR": str(base), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, env=os.environ | variables, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            sys.stderr.write(line)
            epoch = _EPOCH.match(line)
            if epoch and float(epoch[2]) >= accuracy:
                process.kill()
                return {"seconds": round(time.perf_counter() - start), "epoch": int(epoch[1])}
    if process.returncode:
        raise SystemExit(f"error: {command} failed")
    return None


def train_plainly(base: Path) -> None:
    """Train the plain way for as many epochs as the seed, and print a line after each."""
    given = Hyperparameters.parse({"recipe": "seed", "precision": "fp32"})
    job = train.prepare(OptMl(base), given, ALONE, Stop(), None)
    shape, training = job.settings, job.data.training
    network = PlainLSTM(shape.vocab_size, shape.embedding_dim, shape.hidden_dim)
    sequences = [training.sequences[i] for i in range(len(training.labels))]
    loop = PlainTraining(network, sequences, training.labels, "fp32", ALONE.device)
    for epoch in range(1, job.hyperparameters.epochs + 1):
        for _ in range(-(-len(training.labels) // BATCH_SIZE)):
            loop.step()
        right = is_right(network, job.data.held_out["validation"])
        print(f"epoch={epoch}; validation_accuracy={right.mean():.4f};")


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


def main() -> None:
    """Run one after the other, and report."""
    parser = argparse.ArgumentParser(prog="benchmarks/run.sh time_to_accuracy", description=__doc__)
    parser.add_argument("--accuracy", type=float, default=0.85)
    accuracy = parser.parse_args().accuracy
    found = {}
    with tempfile.TemporaryDirectory() as base:
        channel = Path(base) / "input" / "data" / "training"
        channel.mkdir(parents=True)
        (channel / "reviews.csv").symlink_to(REVIEWS)
        plain = [sys.executable, "-m", "benchmarks.time_to_accuracy", PLAIN]
        found[PLAIN] = follow(plain, Path(base), accuracy)
        for recipe in RECIPES:
            job = [sys.executable, str(ROOT / "code" / "train.py"), f"--recipe={recipe}"]
            found[recipe] = follow(job, Path(base), accuracy)
    save("time_to_accuracy", {"seed": Hyperparameters().seed, "accuracy": accuracy, **found})


if __name__ == "__main__":
    if sys.argv[1:] == [PLAIN]:
        set_up_torch(Hyperparameters().seed)
        train_plainly(Path(os.environ["SAGEMAKER_BASE_DIR"]))
    else:
        main()
