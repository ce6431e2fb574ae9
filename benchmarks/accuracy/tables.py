"""Tables of all runs in ``docs/experiments.md``: fold 0, and the folds of ``preset=default``."""

import json
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from statistics import mean
from typing import Any

import numpy as np

from benchmarks.harness import RESULTS, ROOT

Run = dict[str, Any]

EXPERIMENTS = ROOT / "docs" / "experiments.md"
RUNS = RESULTS / "accuracy.json"
BEGIN, END = "<!-- measured -->\n", "<!-- /measured -->\n"
_HEADER = "run | seeds | accuracy | standard error | calibration error | time | log loss | date | hardware"


def load_runs() -> list[Run]:
    """All runs so far."""
    runs: list[Run] = json.loads(RUNS.read_text("utf-8"))["runs"]
    return runs


def summarize(runs: Sequence[Run]) -> dict[str, Any]:
    """All runs of one specification together.

    The standard error is binomial over the reviews of the folds; seeds add no reviews. The calibration error
    is pooled over the folds. Time and hardware are those of the fastest run, because other load only slows a
    run down.
    """
    fastest = min(runs, key=lambda run: run["seconds"])
    reviews = {run["fold"]: run["reviews"] for run in runs}
    accuracy = mean(mean(run["accuracy"] for run in runs if run["fold"] == fold) for fold in reviews)
    gaps = np.abs(np.sum([run["calibration_gaps"] for run in runs], axis=0)).sum()
    return {
        "seeds": sorted({run["seed"] for run in runs}),
        "accuracy": accuracy,
        "log_loss": mean(run["log_loss"] for run in runs),
        "standard_error": (accuracy * (1 - accuracy) / sum(reviews.values())) ** 0.5,
        "calibration_error": float(gaps) / sum(run["reviews"] for run in runs),
        "seconds": fastest["seconds"],
        "date": max(run["date"] for run in runs),
        "processor": fastest["processor"],
    }


def by_run_spec(runs: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """Summary of each specification, the most accurate first."""
    groups = groupby(sorted(runs, key=itemgetter("run_spec")), key=itemgetter("run_spec"))
    summaries = {spec: summarize(list(group)) for spec, group in groups}
    return dict(sorted(summaries.items(), key=lambda item: -item[1]["accuracy"]))


def on_first_fold(runs: Sequence[Run]) -> list[Run]:
    """Runs on fold 0."""
    return [run for run in runs if run["fold"] == 0]


def on_common_folds(runs: Sequence[Run]) -> list[Run]:
    """Runs on the folds of ``preset=default``, of the specifications and seeds measured on each of them."""
    folds = {run["fold"] for run in runs if run["run_spec"] == "preset=default"}
    common = [run for run in runs if run["fold"] in folds]
    count = Counter((run["run_spec"], run["seed"]) for run in common)
    return [run for run in common if count[run["run_spec"], run["seed"]] == len(folds)]


def table(runs: Sequence[Run]) -> str:
    """A row per specification, in Markdown."""
    lines = [_HEADER, " | ".join(["---"] * _HEADER.count("|")) + " | ---"]
    for spec, summary in by_run_spec(runs).items():
        seeds, log_loss = ", ".join(map(str, summary["seeds"])), f"{summary['log_loss']:.3f}"
        figures = [*format_figures(summary), log_loss, summary["date"], summary["processor"]]
        lines.append(" | ".join([spec.replace(",", ", "), seeds, *figures]))
    return "".join(f"| {line} |\n" for line in lines)


def format_figures(summary: dict[str, Any]) -> list[str]:
    """Accuracy, standard error, calibration error and time of a summary, as in the tables."""
    seconds = summary["seconds"]
    return [
        f"{summary['accuracy']:.1%}",
        f"{summary['standard_error']:.1%}",
        f"{summary['calibration_error']:.3f}",
        f"{seconds} s" if seconds < 100 else f"{seconds / 60:.0f} min",
    ]


def tables(runs: Sequence[Run]) -> str:
    """The tables of the first fold and of the folds of ``preset=default``."""
    return f"{table(on_first_fold(runs))}\n{table(on_common_folds(runs))}"


def write_tables(runs: Sequence[Run]) -> None:
    """Replace the tables in ``docs/experiments.md``."""
    text = EXPERIMENTS.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    EXPERIMENTS.write_text(before + BEGIN + tables(runs) + END + rest.partition(END)[2], "utf-8")
