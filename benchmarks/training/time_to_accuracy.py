"""Time from process start to a validation accuracy, for each preset and for plain training.

A part of ``benchmarks/run.sh training``. All jobs train on the 25,000 reviews in fp32 and hold out the same
tenth, split by text; ``best`` has no unlabeled reviews here. The time ends after the first epoch with the
accuracy, and includes reading and the warm start.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.harness import job_environment, link_reviews, train_command
from benchmarks.training.plain import BASELINE, BATCH_SIZE, PlainTrainer
from sentiment.data import datasets
from sentiment.hyperparameters import PRESETS
from sentiment.training.memory import set_up_torch

_EPOCH = re.compile(r"epoch=(\d+);.* validation_accuracy=([\d.]+);.* reviews_per_second=(\d+);")


def measure(accuracy: float) -> dict[str, dict[str, int | None]]:
    """Run one job after another: plain training, then each preset."""
    with tempfile.TemporaryDirectory() as base:
        link_reviews(Path(base))
        commands = {"plain": [sys.executable, "-m", "benchmarks.training.time_to_accuracy"]}
        commands |= {preset: train_command(preset=preset, precision="fp32") for preset in PRESETS}
        return {name: watch(command, Path(base), accuracy) for name, command in commands.items()}


def watch(command: list[str], base: Path, accuracy: float) -> dict[str, int | None]:
    """Run a program that prints a line per epoch, and kill it once it has reached the accuracy.

    Returns:
        ``seconds`` and ``epoch`` of that, or None if it never did; the median ``reviews_per_second``.
    """
    start = time.perf_counter()
    result: dict[str, int | None] = {"seconds": None, "epoch": None}
    rates = []
    with subprocess.Popen(command, env=job_environment(base), stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            sys.stderr.write(line)
            if not (epoch := _EPOCH.match(line)):
                continue
            rates.append(int(epoch[3]))
            if float(epoch[2]) >= accuracy:
                result = {"seconds": round(time.perf_counter() - start), "epoch": int(epoch[1])}
                process.kill()
                break
    if result["seconds"] is None and process.returncode:
        raise SystemExit(f"error: {command} failed; its messages are above")
    return result | {"reviews_per_second": round(statistics.median(rates))}


def train_plain(base: Path) -> None:
    """Train as many epochs as the preset ``baseline``, and print a line after each."""
    data = datasets.load({"training": base / "input" / "data" / "training"}, BASELINE)
    trainer = PlainTrainer(data.training, len(data.vocabulary))
    for epoch in range(1, BASELINE.epochs + 1):
        start = time.perf_counter()
        reviews = sum(trainer.step() for _ in range(-(-len(data.training.labels) // BATCH_SIZE)))
        rate = reviews / (time.perf_counter() - start)
        accuracy = trainer.accuracy(data.held_out["validation"])
        print(f"epoch={epoch}; validation_accuracy={accuracy:.4f}; reviews_per_second={rate:.0f};")


if __name__ == "__main__":
    set_up_torch(BASELINE.seed)
    train_plain(Path(os.environ["SAGEMAKER_BASE_DIR"]))
