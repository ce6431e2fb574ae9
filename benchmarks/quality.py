"""How accurate the recipes are, or any other settings, beside what a user would pick instead.

    benchmarks/run.sh quality FOLDER [--folds 0 1 2 3 4] [--seeds 1 2 3] [SETTING ...]

FOLDER is the official layout of the reviews. A SETTING is hyperparameters such as ``recipe=best,epochs=2``;
without one every recipe is measured, and ``@benchmarks/changes.txt`` are those of that file, which change one
thing each. Each runs as a whole job, in a process of its own whose time is taken, over all folds but one, and
is measured on that one; no movie is on both sides. Reviews without labels are for those alone that begin with
``recipe=best``. The baselines run on the same folds. What was measured before stays in
``results/quality.json``; ``quality.md`` has a table of all of it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.baselines import BASELINES
from benchmarks.folds import FOLDS, existing, give_unlabeled, lay_out
from benchmarks.quality_table import RUNS, kept, write_table
from benchmarks.report import ROOT, processor
from benchmarks.setting import checked, parse
from sentiment.data.reviews import Review
from sentiment.evaluation.metrics import CALIBRATION_BINS, log_loss, roc_auc, sigmoid
from sentiment.hyperparameters import RECIPES, Hyperparameters
from sentiment.model.calibration import temperature
from sentiment.text.tokenizer import words

Run = dict[str, Any]


def run_job(base: Path, setting: str, seed: int) -> Run:
    """Run a job; its figures on the validation channel, and its time."""
    values = parse(setting) | {"seed": str(seed)}
    start = time.perf_counter()
    subprocess.run(
        [
            sys.executable,
            ROOT / "code" / "train.py",
            *(f"--{name}={value}" for name, value in values.items()),
        ],
        env=os.environ | {"SAGEMAKER_BASE_DIR": str(base)},
        stdout=sys.stderr,
        check=True,
    )
    seconds = time.perf_counter() - start
    output = base / "output" / "data"
    metrics = json.loads((output / "metrics.json").read_text("utf-8"))
    table = np.loadtxt(output / "predictions.csv", str, delimiter=",", skiprows=1, usecols=(3, 4))
    probabilities = table[:, 1].astype(np.float64).clip(1e-6, 1 - 1e-6)
    logits = np.log(probabilities / (1 - probabilities)).astype(np.float32)
    return figures(logits, table[:, 0].astype(np.int8), seconds) | {
        "epochs": len(metrics["epochs"]),
        "best_epoch": metrics["best_epoch"],
        "hyperparameters": Hyperparameters.parse(values).that_decide(),
    }


def run_baseline(name: str, training: list[Review], validation: list[Review]) -> Run:
    """The figures of a baseline on the same reviews, and its time."""
    start = time.perf_counter()
    texts = [[" ".join(words(review.text)) for review in side] for side in (training, validation)]
    labels = [np.array([review.label for review in side], np.int8) for side in (training, validation)]
    logits = BASELINES[name](texts[0], labels[0], texts[1])
    return figures(logits, labels[1], time.perf_counter() - start)


def figures(logits: NDArray[np.float32], labels: NDArray[np.int8], seconds: float) -> Run:
    """What is kept of a run."""
    return {
        "reviews": len(labels),
        "accuracy": round(float(((logits > 0) == (labels == 1)).mean()), 5),
        "roc_auc": round(roc_auc(logits, labels), 5),
        "log_loss": round(log_loss(logits, labels), 5),
        "calibration_gaps": [round(gap, 3) for gap in calibration_gaps(logits, labels)],
        "seconds": round(seconds),
    }


def calibration_gaps(logits: NDArray[np.float32], labels: NDArray[np.int8]) -> list[float]:
    """[bins] positives less the sum of their probabilities, so that the gaps of several folds can be added.

    Each half of the reviews has the temperature that fits the other half.
    """
    probabilities = np.empty(len(labels))
    half = np.arange(len(labels)) % 2 == 0
    for side in (half, ~half):
        probabilities[side] = sigmoid(logits[side] / temperature(logits[~side], labels[~side]))
    index = np.minimum((probabilities * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    gaps: list[float] = np.bincount(index, labels - probabilities, CALIBRATION_BINS).tolist()
    return gaps


def measure(folder: Path, fold: int, seeds: list[int], settings: list[str]) -> Iterator[Run]:
    """All runs of one fold; a job that fails ends it."""
    with tempfile.TemporaryDirectory() as base:
        sides = lay_out(folder, fold, Path(base))
        for name in BASELINES:
            yield {"setting": name, "fold": fold, "seed": 0, **run_baseline(name, *sides)}
        for setting in settings:
            give_unlabeled(folder, Path(base), setting.startswith("recipe=best"))
            for seed in seeds:
                yield {"setting": setting, "fold": fold, "seed": seed, **run_job(Path(base), setting, seed)}


def keep(run: Run) -> None:
    """Add a run to the results, in place of an earlier one of the same setting, fold and seed."""
    same = ("setting", "fold", "seed")
    runs = [old for old in kept() if any(old[name] != run[name] for name in same)]
    runs.append({"date": datetime.now(UTC).date().isoformat(), "processor": processor(), **run})
    RUNS.write_text(json.dumps({"runs": runs}, indent=1) + "\n", "utf-8")
    write_table(runs)


def main() -> None:
    """Run everything that is asked for, and keep each run as soon as it is there."""
    parser = argparse.ArgumentParser(
        prog="benchmarks/run.sh quality",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
        fromfile_prefix_chars="@",
    )
    parser.add_argument("folder", type=existing)
    parser.add_argument("settings", nargs="*", metavar="SETTING", type=checked)
    parser.add_argument("--folds", type=int, nargs="+", default=[0], choices=range(FOLDS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    given = parser.parse_intermixed_args()
    settings = given.settings or [f"recipe={name}" for name in RECIPES]
    for fold in given.folds:
        for run in measure(given.folder, fold, given.seeds, settings):
            keep(run)
            print({name: run[name] for name in ("setting", "fold", "seed", "accuracy", "seconds")})


if __name__ == "__main__":
    main()
