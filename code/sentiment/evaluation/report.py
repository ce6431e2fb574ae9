"""``report.html``: one self-contained page about a training job, without the text of any review."""

import base64
import csv
import heapq
import io
import json
import logging
import math
import os
import platform
import statistics
import tempfile
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np
import torch
from markupsafe import Markup

from byoc.opt_ml import OptMl
from byoc.version import version
from sentiment.evaluation.curves import Predictions
from sentiment.hyperparameters import Hyperparameters

logger = logging.getLogger(__name__)

MISTAKES = 20
_DOTS_PER_INCH = 144


class Mistake(NamedTuple):
    """A misclassified review; ``line`` is 0 if the whole file is the review."""

    set_name: str
    file: str
    line: int
    label: str
    probability: float


def write(opt_ml: OptMl, seconds: float) -> None:
    """Write the report from the model, ``metrics.json`` and ``predictions.csv``; log any failure.

    The model is worth more than its report: no fault of the report may fail the job.
    """
    try:
        (opt_ml.output_data / "report.html").write_text(render(opt_ml, seconds), "utf-8")
    except Exception as error:
        logger.warning("cannot write the report: %s: %s", type(error).__name__, error)


def read_predictions(path: Path) -> tuple[dict[str, Predictions], list[Mistake]]:
    """The held-out sets of ``predictions.csv`` by name, and their most confident mistakes, worst first."""
    columns: dict[str, tuple[array[int], array[float], array[int]]] = {}
    mistakes = []
    with path.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            label, probability = int(row["label"]), float(row["probability"])
            labels, probabilities, words = columns.setdefault(
                row["set"], (array("b"), array("d"), array("q"))
            )
            labels.append(label)
            probabilities.append(probability)
            words.append(int(row["words"]))
            if (probability > 0.5) != (label == 1):
                name = "positive" if label else "negative"
                mistakes.append(Mistake(row["set"], row["file"], int(row["line"]), name, probability))
    sets = {name: Predictions(*map(np.asarray, column)) for name, column in columns.items()}
    return sets, heapq.nlargest(MISTAKES, mistakes, key=lambda mistake: abs(mistake.probability - 0.5))


def draw(metrics: Mapping[str, Any], sets: Mapping[str, Predictions]) -> dict[str, bytes]:
    """The plots as PNG, by name."""
    # matplotlib logs its search for fonts, and warns where the home folder is read-only.
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as cache:
        os.environ.setdefault("MPLCONFIGDIR", cache)
        from sentiment.evaluation import plots  # noqa: PLC0415 (an import error must fail the report only)

        images = {}
        for name, figure in plots.draw(metrics, sets).items():
            stream = io.BytesIO()
            figure.savefig(stream, format="png", dpi=_DOTS_PER_INCH)
            images[name] = stream.getvalue()
    return images


def render(opt_ml: OptMl, seconds: float) -> str:
    """The page, from the results of the job and its duration."""
    model = json.loads((opt_ml.model / "model.json").read_text("utf-8"))
    metrics = json.loads((opt_ml.output_data / "metrics.json").read_text("utf-8"))
    sets, mistakes = read_predictions(opt_ml.output_data / "predictions.csv")
    images = draw(metrics, sets)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )

    def image(name: str) -> Markup:
        data = base64.b64encode(images[name]).decode()
        return Markup('<img alt="{}" src="data:image/png;base64,{}">').format(name.replace("_", " "), data)

    environment.filters["thousands"] = "{:,}".format
    environment.filters["duration"] = _format_duration
    return environment.get_template("report.html").render(
        when=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        version=version(),
        model=model,
        metrics=metrics,
        sets=sets,
        columns=_COLUMNS,
        rows=_rows(metrics, sets),
        mistakes=mistakes,
        seconds=seconds,
        rate=round(statistics.median(epoch["reviews_per_second"] for epoch in metrics["epochs"])),
        threads=torch.get_num_threads(),
        versions={"Python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
        fields={spec.name: spec for spec in fields(Hyperparameters)},
        image=image,
    )


_PARTS = {"ngram": "n-gram model alone", "lstm": "LSTM alone"}
_COLUMNS = {
    "reviews": "reviews",
    "accuracy": "accuracy",
    "f1": "F1",
    "roc_auc": "ROC AUC",
    "log_loss": "log loss",
    "calibration_error": "calibration error",
}


def _rows(metrics: Mapping[str, Any], sets: Iterable[str]) -> dict[str, dict[str, str]]:
    """The formatted metrics of each set, and of each part of the sum on it, by the head of the row."""
    tables = {}
    for name in sets:
        tables[name] = metrics[name]
        for part, values in metrics.get("parts", {}).get(name, {}).items():
            tables[f"{name}, {_PARTS[part]}"] = values
    return {head: {key: _format(values, key) for key in _COLUMNS} for head, values in tables.items()}


def _format(metrics: Mapping[str, Any], key: str) -> str:
    """A metric as text, accuracy with its standard error; None means undefined."""
    value = metrics[key]
    if key == "accuracy":
        return f"{value:.1%} ± {math.sqrt(value * (1 - value) / metrics['reviews']):.1%}"
    if value is None:
        return "undefined"
    return f"{value:.4f}" if isinstance(value, float) else f"{value:,}"


def _format_duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
