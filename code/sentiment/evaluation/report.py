"""``report.html``: what a training job has learnt, for people; one file, which asks the network for nothing.

It is made of the other files that the job leaves, without the text of any review.
"""

import base64
import contextlib
import csv
import heapq
import io
import json
import logging
import math
import os
import platform
import tempfile
from array import array
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np
import torch
from markupsafe import Markup

from byoc.opt_ml import OptMl
from sentiment.evaluation.curves import Predictions
from sentiment.hyperparameters import Hyperparameters

logger = logging.getLogger(__name__)

MISTAKES = 20
_DOTS_PER_INCH = 144


class Mistake(NamedTuple):
    """A review that was predicted wrong; ``line`` is 0 where the file is the review."""

    part: str
    file: str
    line: int
    label: str
    probability: float


def write(opt_ml: OptMl, seconds: float) -> None:
    """Write the report, and its pictures as PNG files in the folder ``report`` beside it.

    Whatever goes wrong is logged: the model is worth more than a report about it.

    Args:
        opt_ml: where the model, ``metrics.json`` and ``predictions.csv`` are already.
        seconds: how long the job has taken.
    """
    try:
        _write(opt_ml, seconds)
    except Exception as error:
        logger.warning("the report cannot be written; all else is there: %s: %s", type(error).__name__, error)


def _write(opt_ml: OptMl, seconds: float) -> None:
    folder = opt_ml.output_data
    model = json.loads((opt_ml.model / "model.json").read_text("utf-8"))
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    sets, mistakes = read_predictions(folder / "predictions.csv")
    pictures = draw(metrics, sets)
    (folder / "report").mkdir(exist_ok=True)
    for name, png in pictures.items():
        (folder / "report" / f"{name}.png").write_bytes(png)
    page = render(model, metrics, sets, mistakes, pictures, seconds)
    (folder / "report.html").write_text(page, "utf-8")


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
    """The pictures as PNG, by name."""
    # matplotlib tells of its fonts, and where the home is read-only complains about that.
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as cache:
        os.environ.setdefault("MPLCONFIGDIR", cache)
        from sentiment.evaluation import plots  # noqa: PLC0415 (should this fail, only the report does)

        pictures = {}
        for name, figure in plots.draw(metrics, sets).items():
            stream = io.BytesIO()
            figure.savefig(stream, format="png", dpi=_DOTS_PER_INCH)
            pictures[name] = stream.getvalue()
    return pictures


def render(
    model: Mapping[str, Any],
    metrics: Mapping[str, Any],
    sets: Mapping[str, Predictions],
    mistakes: list[Mistake],
    pictures: Mapping[str, bytes],
    seconds: float,
) -> str:
    """The page.

    Args:
        model: the content of ``model.json``.
        metrics: that of ``metrics.json``.
        sets: the held-out sets by name.
        mistakes: what to list of them.
        pictures: PNG, by name.
        seconds: how long the job has taken.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )

    def picture(name: str) -> Markup:
        data = base64.b64encode(pictures[name]).decode()
        return Markup('<img alt="{}" src="data:image/png;base64,{}">').format(name.replace("_", " "), data)

    return environment.get_template("report.html").render(
        when=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        model=model,
        metrics=metrics,
        figures=list(_FIGURES),
        sets={name: [show(metrics[name]) for show in _FIGURES.values()] for name in sets},
        tiles=_tiles(metrics, seconds),
        mistakes=mistakes,
        data=_data(model, sets),
        machine=_machine(metrics, seconds),
        hyperparameters=_hyperparameters(model["training"]["hyperparameters"]),
        picture=picture,
    )


def _share(figures: Mapping[str, Any]) -> str:
    """Accuracy with its standard error."""
    accuracy = figures["accuracy"]
    error = math.sqrt(accuracy * (1 - accuracy) / figures["reviews"])
    return f"{accuracy:.1%} ± {error:.1%}"


def _figure(name: str) -> Callable[[Mapping[str, Any]], str]:
    """Shows a figure; null is one that does not exist."""
    return lambda figures: "none" if figures[name] is None else f"{figures[name]:.4f}"


_FIGURES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "reviews": lambda figures: f"{figures['reviews']:,}",
    "accuracy": _share,
    "F1": _figure("f1"),
    "ROC AUC": _figure("roc_auc"),
    "log loss": _figure("log_loss"),
    "calibration error": _figure("calibration_error"),
}


def _tiles(metrics: Mapping[str, Any], seconds: float) -> list[tuple[str, str, str]]:
    """What matters most, as (name, value, more), of the set that was not chosen by if there is one."""
    part = "test" if "test" in metrics else "validation"
    figures = metrics[part]
    accuracy, _, error = _share(figures).partition(" ")
    return [
        (f"Accuracy on {part}", accuracy, f"{error} over {figures['reviews']:,} reviews"),
        ("ROC AUC", _figure("roc_auc")(figures), "1 is perfect, 0.5 is chance"),
        ("Log loss", _figure("log_loss")(figures), "0.6931 is chance"),
        ("Calibration error", _figure("calibration_error")(figures), "0 is perfect"),
        ("Time", _duration(seconds), f"{len(metrics['epochs'])} epochs, the best {metrics['best_epoch']}"),
    ]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _data(model: Mapping[str, Any], sets: Mapping[str, Predictions]) -> list[tuple[str, str]]:
    counts = [("training reviews", f"{model['training']['reviews']['training']:,}")]
    for name, part in sets.items():
        positive, words = int(part.labels.sum()), int(part.words.sum())
        counts += [
            (f"{name} reviews", f"{len(part.labels):,}"),
            (f"{name} reviews that are positive", f"{positive:,}"),
            (f"{name} words that count", f"{words:,}"),
        ]
    return [*counts, ("ids in the lookup table", f"{model['network']['vocab_size']:,}")]


def _machine(metrics: Mapping[str, Any], seconds: float) -> list[tuple[str, str]]:
    speeds = [epoch["reviews_per_second"] for epoch in metrics["epochs"]]
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return [
        ("whole job", _duration(seconds)),
        ("reviews per second, median of epochs", f"{np.median(speeds):,.0f}"),
        ("GPUs", ", ".join(gpus) or "none"),
        ("threads of the CPU", str(torch.get_num_threads())),
        ("processor", _processor()),
        ("Python", platform.python_version()),
        ("torch", torch.__version__),
        ("numpy", np.__version__),
    ]


def _processor() -> str:
    """Its name where Linux tells it, else its kind."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _hyperparameters(values: Mapping[str, Any]) -> list[tuple[str, Any, Any, str]]:
    """Name, value, default and meaning of each."""
    specs = {spec.name: spec for spec in fields(Hyperparameters)}
    return [
        (name, value, specs[name].default, specs[name].metadata["help"]) for name, value in values.items()
    ]
