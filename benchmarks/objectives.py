"""What it is worth to train against noise, beside the same training without it; see perturbation.py.

    benchmarks/run.sh objectives FOLDER [SETTING ...]

FOLDER is the official layout of the reviews, a SETTING hyperparameters such as ``recipe=best,epochs=4``;
without one ``default`` and ``best`` are measured. Each is trained on all folds but the first and measured
on that one, as benchmarks/run.sh quality does it; with all objectives it begins alike and reads the same
batches.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.folds import existing, give_unlabeled, lay_out
from benchmarks.perturbation import PerturbedOptimization
from benchmarks.report import save
from benchmarks.setting import checked, parse
from byoc.checkpoints import Checkpoints
from byoc.distributed.process_group import ALONE
from byoc.opt_ml import OptMl
from byoc.signals import StopFlag
from sentiment.evaluation.metrics import log_loss
from sentiment.hyperparameters import Hyperparameters
from sentiment.training import run as job
from sentiment.training.trainer import fit

OBJECTIVES: dict[str, tuple[str, ...]] = {
    "labels alone": (),
    "random noise": ("random",),
    "adversarial": ("adversarial",),
    "virtual adversarial": ("virtual",),
    "mixed": ("adversarial", "virtual", "entropy"),
}


def train(base: Path, setting: str, terms: tuple[str, ...]) -> dict[str, Any]:
    """Train to the last epoch; the figures on the validation channel.

    The vectors that it begins with are made for the first objective of a setting and kept.
    """
    hyperparameters = Hyperparameters.parse(parse(setting))
    hyperparameters = replace(hyperparameters, patience=hyperparameters.epochs)
    prepared = job.prepare(
        OptMl(base), hyperparameters, ALONE, StopFlag(), Checkpoints(base / "checkpoints", 1)
    )
    loop, validation = prepared.loop, prepared.data.held_out["validation"]
    loop.optimization = PerturbedOptimization(
        loop.network, prepared.hyperparameters, loop.optimization.steps, terms
    )
    start = time.perf_counter()
    fit(loop, validation, StopFlag(), Checkpoints(Path("none"), 1), lambda: None)
    logits = loop.best_logits / prepared.temperature
    return {
        "accuracy": round(float(((logits > 0) == (validation.labels == 1)).mean()), 5),
        "log_loss": round(log_loss(logits, validation.labels), 5),
        "validation_losses": [round(epoch.validation_loss, 5) for epoch in loop.history],
        "seconds": round(time.perf_counter() - start),
    }


def main() -> None:
    """Train by every objective, and keep what is there after each."""
    parser = argparse.ArgumentParser(
        prog="benchmarks/run.sh objectives",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("folder", type=existing)
    parser.add_argument("settings", nargs="*", metavar="SETTING", type=checked)
    given = parser.parse_args()
    settings = given.settings or ["recipe=default", "recipe=best"]
    found: dict[str, dict[str, Any]] = {setting: {} for setting in settings}
    with tempfile.TemporaryDirectory() as temporary:
        base = Path(temporary)
        (base / "checkpoints").mkdir()
        lay_out(given.folder, 0, base)
        for setting in settings:
            give_unlabeled(given.folder, base, setting.startswith("recipe=best"))
            for name, terms in OBJECTIVES.items():
                found[setting][name] = train(base, setting, terms)
                figures = {"threads": torch.get_num_threads(), "settings": found}
                save("objectives", figures, ["FOLDER", *found])


if __name__ == "__main__":
    main()
