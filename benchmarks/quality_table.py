"""What was measured: of recipes and baselines on one fold and on all, and of values changed in a recipe."""

import json
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from benchmarks.folds import FOLDS
from benchmarks.report import RESULTS

QUALITY = Path(__file__).with_name("quality.md")
RUNS = RESULTS / "quality.json"
BEGIN, END = "<!-- measured -->\n", "<!-- /measured -->\n"
_COLUMNS = (
    "setting",
    "folds",
    "seeds",
    "accuracy",
    "standard error",
    "calibration error",
    "time",
    "date",
    "hardware",
)
_CHANGED_COLUMNS = ("recipe", "what is changed", "accuracy", "log loss", "time", "date", "hardware")


def kept() -> list[dict[str, Any]]:
    """All runs so far."""
    if not RUNS.is_file():
        return []
    runs: list[dict[str, Any]] = json.loads(RUNS.read_text("utf-8"))["runs"]
    return runs


def summary(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The runs of one setting together.

    The standard error is that of the share of right answers among the reviews of the folds; seeds are no
    further reviews. The calibration error is that of all folds pooled. The time is that of the fastest run:
    whatever else the machine does only makes a run slower; and the hardware is that run's.
    """
    fastest = min(runs, key=lambda run: run["seconds"])
    folds = {run["fold"]: run["reviews"] for run in runs}
    accuracy = mean(mean(run["accuracy"] for run in runs if run["fold"] == fold) for fold in folds)
    gaps = np.abs(np.sum([run["calibration_gaps"] for run in runs], axis=0)).sum()
    return {
        "folds": sorted(folds),
        "seeds": sorted({run["seed"] for run in runs}),
        "accuracy": accuracy,
        "standard_error": (accuracy * (1 - accuracy) / sum(folds.values())) ** 0.5,
        "calibration_error": float(gaps) / sum(run["reviews"] for run in runs),
        "seconds": fastest["seconds"],
        "date": max(run["date"] for run in runs),
        "processor": fastest["processor"],
    }


def by_setting(runs: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The summary of each setting, the most accurate first."""
    ordered = sorted(runs, key=lambda run: str(run["setting"]))
    groups = groupby(ordered, key=lambda run: str(run["setting"]))
    found = {setting: summary(list(group)) for setting, group in groups}
    return dict(sorted(found.items(), key=lambda item: -item[1]["accuracy"]))


def on_first_fold(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The runs of recipes and baselines on fold 0, where every setting is measured."""
    return [run for run in runs if run["fold"] == 0 and "," not in run["setting"]]


def changed(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The runs on fold 0 of recipes with changed values, and of each such recipe with the same seed.

    One seed, so that all read the same batches in the same order: the lowest log loss first, by recipe.
    """
    same = [run for run in runs if (run["fold"], run["seed"]) == (0, 1)]
    recipes = {run["setting"].partition(",")[0] for run in same if "," in run["setting"]}
    of_recipes = [run for run in same if run["setting"].partition(",")[0] in recipes]
    return sorted(of_recipes, key=lambda run: (run["setting"].partition(",")[0], run["log_loss"]))


def on_all_folds(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The runs of those settings and seeds that were measured on every fold."""
    done = Counter((run["setting"], run["seed"]) for run in runs)
    return [run for run in runs if done[run["setting"], run["seed"]] == FOLDS]


def tables(runs: Sequence[dict[str, Any]]) -> str:
    """The table of the first fold, that of all folds, and that of changed values, in Markdown."""
    summaries = [by_setting(on_first_fold(runs)), by_setting(on_all_folds(runs))]
    found = [_table(_COLUMNS, [_row(setting, of) for setting, of in each.items()]) for each in summaries]
    return "\n".join([*found, _table(_CHANGED_COLUMNS, [_changed_row(run) for run in changed(runs)])])


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in [columns, ["---"] * len(columns), *rows])


def _row(setting: str, of: dict[str, Any]) -> list[str]:
    return [
        setting,
        ", ".join(map(str, of["folds"])),
        ", ".join(map(str, of["seeds"])),
        *in_words(of),
        of["date"],
        of["processor"],
    ]


def _changed_row(run: dict[str, Any]) -> list[str]:
    recipe, _, values = run["setting"].removeprefix("recipe=").partition(",")
    accuracy, _, _, seconds = in_words(summary([run]))
    loss = f"{run['log_loss']:.3f}"
    return [
        recipe,
        values.replace(",", ", ") or "nothing",
        accuracy,
        loss,
        seconds,
        run["date"],
        run["processor"],
    ]


def in_words(of: dict[str, Any]) -> list[str]:
    """Accuracy, its standard error, calibration error and time of a summary."""
    seconds = of["seconds"]
    return [
        f"{of['accuracy']:.1%}",
        f"{of['standard_error']:.1%}",
        f"{of['calibration_error']:.3f}",
        f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min",
    ]


def write_table(runs: Sequence[dict[str, Any]]) -> None:
    """Put the tables in their place in ``quality.md``."""
    text = QUALITY.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    QUALITY.write_text(before + BEGIN + tables(runs) + END + after, "utf-8")
