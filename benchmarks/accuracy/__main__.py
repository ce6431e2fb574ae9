"""Accuracy of presets and changed hyperparameters, compared with two baselines, by cross-validation.

    benchmarks/run.sh accuracy FOLDER [--folds 0 1 2 3 4] [--seeds 1 2 3] [--pretrained MODEL] [RUN_SPEC ...]

FOLDER is the official layout of the reviews. A RUN_SPEC is a preset with changes: ``preset=best,epochs=2``.
The default is every preset; ``@benchmarks/accuracy/changes.txt`` reads specifications from a file, one per
line. Each runs as a whole job in its own process, trains on all folds but one and is measured on that one;
no movie is on both sides. Only specifications that begin with ``preset=best`` get the unlabeled reviews;
with --pretrained, none does, and all start from MODEL, the model folder of a job that only pretrained.
Earlier runs stay in ``results/accuracy.json``; ``docs/experiments.md`` has the tables.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.baselines import BASELINES
from benchmarks.accuracy.folds import FOLDS, link_unlabeled, write_channels
from benchmarks.accuracy.tables import RUNS, Run, load_runs, write_tables
from benchmarks.harness import processor, run_job, today
from byoc.errors import HyperparameterError
from byoc.hyperparameters import parse_hyperparameters
from byoc.version import version
from sentiment.data.channels import PRETRAINED_CHANNEL, Review
from sentiment.evaluation.metrics import calibration_gaps, log_loss, roc_auc, sigmoid
from sentiment.hyperparameters import PRESETS, Hyperparameters
from sentiment.model.weighted_sum import cross_fitted_sum


def parse_run_spec(text: str) -> dict[str, str]:
    """Values by hyperparameter; they begin with a preset, as in ``preset=best,epochs=2``.

    Raises:
        HyperparameterError: the text is not a run specification.
    """
    if not text.startswith("preset="):
        raise HyperparameterError(f"{text!r} does not begin with preset=; write preset=default,...")
    values = {name: value for name, _, value in (pair.partition("=") for pair in text.split(","))}
    parse_hyperparameters(Hyperparameters, values)
    return values


def measure_job(base: Path, spec: str, seed: int) -> Run:
    """Run a job, and evaluate it on the validation channel."""
    values = parse_run_spec(spec) | {"seed": str(seed)}
    start = time.perf_counter()
    run_job(base, **values)
    seconds = time.perf_counter() - start
    output = base / "output" / "data"
    metrics = json.loads((output / "metrics.json").read_text("utf-8"))
    table = np.loadtxt(output / "predictions.csv", str, delimiter=",", skiprows=1, usecols=(3, 4))
    probabilities = table[:, 1].astype(np.float64).clip(1e-6, 1 - 1e-6)
    logits = np.log(probabilities / (1 - probabilities)).astype(np.float32)
    return evaluate(logits, table[:, 0].astype(np.int8), seconds) | {
        "epochs": len(metrics["epochs"]),
        "best_epoch": metrics["best_epoch"],
        "hyperparameters": parse_hyperparameters(Hyperparameters, values).fingerprint_fields(),
    }


def measure_baseline(name: str, training: list[Review], validation: list[Review]) -> Run:
    """Fit a baseline, and evaluate it on the validation reviews."""
    start = time.perf_counter()
    texts = [[review.text for review in side] for side in (training, validation)]
    labels = [np.array([review.label for review in side], np.int8) for side in (training, validation)]
    logits = BASELINES[name](texts[0], labels[0], texts[1])
    return evaluate(logits, labels[1], time.perf_counter() - start)


def evaluate(logits: NDArray[np.float32], labels: NDArray[np.int8], seconds: float) -> Run:
    """The rounded figures of a run; the calibration gaps of several folds can be added."""
    # Each half of the reviews is calibrated on the other half.
    calibrated = cross_fitted_sum(logits[None], labels, np.arange(len(labels), dtype=np.uint64))
    return {
        "reviews": len(labels),
        "accuracy": round(float(((logits > 0) == (labels == 1)).mean()), 5),
        "roc_auc": round(roc_auc(logits, labels), 5),
        "log_loss": round(log_loss(logits, labels), 5),
        "calibration_gaps": calibration_gaps(sigmoid(calibrated), labels).round(3).tolist(),
        "seconds": round(seconds),
    }


def measure(
    folder: Path, fold: int, seeds: list[int], specs: list[str], pretrained: Path | None = None
) -> Iterator[Run]:
    """All runs of one fold; a failing job ends them."""
    with tempfile.TemporaryDirectory() as temporary:
        base = Path(temporary)
        sides = write_channels(folder, fold, base)
        for name in BASELINES:
            yield {"run_spec": name, "fold": fold, "seed": 0, **measure_baseline(name, *sides)}
        if pretrained:
            (base / "input" / "data" / PRETRAINED_CHANNEL).symlink_to(pretrained)
        for spec in specs:
            link_unlabeled(folder, base, spec.startswith("preset=best") and not pretrained)
            name = f"{spec},pretrained" if pretrained else spec
            for seed in seeds:
                yield {"run_spec": name, "fold": fold, "seed": seed, **measure_job(base, spec, seed)}


def save_run(run: Run) -> None:
    """Add a run to the results, in place of an earlier run with the same specification, fold and seed."""
    key = ("run_spec", "fold", "seed")
    runs = [old for old in load_runs() if any(old[name] != run[name] for name in key)]
    runs.append({"version": version(), "date": today(), "processor": processor(), **run})
    RUNS.write_text(json.dumps({"runs": runs}, indent=1) + "\n", "utf-8")
    write_tables(runs)


def main() -> None:
    """Run everything, and save each run as soon as it has finished."""
    parser = argparse.ArgumentParser(
        prog="benchmarks/run.sh accuracy",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
        fromfile_prefix_chars="@",
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("specs", nargs="*", metavar="RUN_SPEC")
    parser.add_argument("--folds", type=int, nargs="+", default=[0], choices=range(FOLDS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--pretrained", type=lambda path: Path(path).resolve(), metavar="MODEL")
    arguments = parser.parse_intermixed_args()
    specs = arguments.specs or [f"preset={name}" for name in PRESETS]
    if not arguments.folder.is_dir():
        parser.error(f"{arguments.folder}: no such folder; expected the unpacked aclImdb")
    for spec in specs:  # before hours of training
        try:
            parse_run_spec(spec)
        except HyperparameterError as error:
            parser.error(f"{spec!r}: {error}")
    for fold in arguments.folds:
        for run in measure(arguments.folder.resolve(), fold, arguments.seeds, specs, arguments.pretrained):
            save_run(run)
            print({name: run[name] for name in ("run_spec", "fold", "seed", "accuracy", "seconds")})


if __name__ == "__main__":
    main()
