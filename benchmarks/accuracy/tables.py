"""Tables of all runs in ``docs/experiments.md``: fold 0, all folds, and single changes."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from statistics import mean
from typing import Any

import numpy as np

from benchmarks.accuracy.folds import FOLDS
from benchmarks.harness import RESULTS, ROOT

Run = dict[str, Any]

EXPERIMENTS = ROOT / "docs" / "experiments.md"
RUNS = RESULTS / "accuracy.json"
BEGIN, END = "<!-- measured -->\n", "<!-- /measured -->\n"
_COLUMNS = "run folds seeds accuracy standard_error calibration_error time date hardware"
_CHANGE_COLUMNS = "preset change accuracy log_loss time date hardware"


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
        "folds": sorted(reviews),
        "seeds": sorted({run["seed"] for run in runs}),
        "accuracy": accuracy,
        "standard_error": (accuracy * (1 - accuracy) / sum(reviews.values())) ** 0.5,
        "calibration_error": float(gaps) / sum(run["reviews"] for run in runs),
        "seconds": fastest["seconds"],
        "date": max(run["date"] for run in runs),
        "processor": fastest["processor"],
    }


def by_run_spec(runs: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """Summary of each specification, the most accurate first."""
    groups = groupby(sorted(runs, key=lambda run: str(run["run_spec"])), key=lambda run: str(run["run_spec"]))
    summaries = {spec: summarize(list(group)) for spec, group in groups}
    return dict(sorted(summaries.items(), key=lambda item: -item[1]["accuracy"]))


def on_first_fold(runs: Sequence[Run]) -> list[Run]:
    """Runs of presets and baselines on fold 0."""
    return [run for run in runs if run["fold"] == 0 and "," not in run["run_spec"]]


def on_all_folds(runs: Sequence[Run]) -> list[Run]:
    """Runs of the specifications and seeds that were measured on every fold."""
    count = Counter((run["run_spec"], run["seed"]) for run in runs)
    return [run for run in runs if count[run["run_spec"], run["seed"]] == FOLDS]


def changes(runs: Sequence[Run]) -> list[Run]:
    """Runs on fold 0 with seed 1 of presets with changes, and of these presets; by preset and log loss."""
    runs = [run for run in runs if (run["fold"], run["seed"]) == (0, 1)]
    presets = {_preset(run) for run in runs if "," in run["run_spec"]}
    return sorted(
        (run for run in runs if _preset(run) in presets), key=lambda run: (_preset(run), run["log_loss"])
    )


def _preset(run: Run) -> str:
    return str(run["run_spec"]).partition(",")[0]


def tables(runs: Sequence[Run]) -> str:
    """The tables of the first fold, of all folds and of single changes, in Markdown."""
    summaries = [by_run_spec(on_first_fold(runs)), by_run_spec(on_all_folds(runs))]
    rows = [[_row(spec, summary) for spec, summary in part.items()] for part in summaries]
    return "\n".join(
        [*(_table(_COLUMNS, part) for part in rows), _table(_CHANGE_COLUMNS, map(_change_row, changes(runs)))]
    )


def _table(columns: str, rows: Iterable[Sequence[str]]) -> str:
    names = [name.replace("_", " ") for name in columns.split()]
    return "".join(f"| {' | '.join(row)} |\n" for row in [names, ["---"] * len(names), *rows])


def _row(spec: str, summary: dict[str, Any]) -> list[str]:
    folds, seeds = (", ".join(map(str, summary[name])) for name in ("folds", "seeds"))
    return [spec, folds, seeds, *format_figures(summary), summary["date"], summary["processor"]]


def _change_row(run: Run) -> list[str]:
    preset, _, values = run["run_spec"].removeprefix("preset=").partition(",")
    accuracy, _, _, time = format_figures(summarize([run]))
    change = values.replace(",", ", ") or "nothing"
    return [preset, change, accuracy, f"{run['log_loss']:.3f}", time, run["date"], run["processor"]]


def format_figures(summary: dict[str, Any]) -> list[str]:
    """Accuracy, standard error, calibration error and time of a summary, as in the tables."""
    seconds = summary["seconds"]
    return [
        f"{summary['accuracy']:.1%}",
        f"{summary['standard_error']:.1%}",
        f"{summary['calibration_error']:.3f}",
        f"{seconds} s" if seconds < 100 else f"{seconds / 60:.0f} min",
    ]


def write_tables(runs: Sequence[Run]) -> None:
    """Replace the tables in ``docs/experiments.md``."""
    text = EXPERIMENTS.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    EXPERIMENTS.write_text(before + BEGIN + tables(runs) + END + rest.partition(END)[2], "utf-8")
