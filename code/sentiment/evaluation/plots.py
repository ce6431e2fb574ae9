"""The plots of the report, drawn by matplotlib without a display."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import precision_recall_curve, roc_curve

from sentiment.evaluation import curves
from sentiment.evaluation.curves import Predictions
from sentiment.evaluation.metrics import CALIBRATION_BINS

SIZE = (5.4, 3.6)  # inches
COLORS = {"training": "#8a93a0", "validation": "#1f6feb", "test": "#d9730d"}
LOSSES = {"training": "train_loss", "validation": "validation_loss"}
_STYLE: Any = {
    "axes.edgecolor": "#8a93a0",
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "font.size": 10,
    "grid.color": "#e6e9ee",
    "legend.frameon": False,
}


Sets = Mapping[str, Predictions]


def draw(metrics: Mapping[str, Any], sets: Sets) -> dict[str, Figure]:
    """All plots by name, from the content of ``metrics.json`` and the held-out sets by name."""
    with mpl.rc_context(_STYLE):
        return {
            "loss": by_epoch("Loss", "mean log loss (nats)", metrics, **LOSSES),
            "accuracy": by_epoch("Accuracy", "accuracy", metrics, validation="validation_accuracy"),
            "roc": roc(sets),
            "precision_recall": precision_recall(sets),
            "calibration": calibration(sets),
            "probabilities": probabilities(sets),
            "confusion": confusion({name: metrics[name] for name in sets}),
            "length": length(sets),
        }


def _figure(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.set(title=title, xlabel=x, ylabel=y)
    return figure, axes


def by_epoch(title: str, y: str, metrics: Mapping[str, Any], **keys: str) -> Figure:
    """Values of each epoch; ``keys`` are their names in an epoch's metrics, by set."""
    figure, axes = _figure(title, "epoch", y)
    epochs = metrics["epochs"]
    numbers = [epoch["epoch"] for epoch in epochs]
    for name, key in keys.items():
        values = [epoch[key] for epoch in epochs]
        axes.plot(numbers, values, "o-", markersize=4, color=COLORS[name], label=name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.axvline(metrics["best_epoch"], color="#57606a", linestyle=":", label="best epoch")
    axes.legend()
    return figure


def _diagonal(axes: Axes, label: str) -> None:
    axes.plot([0, 1], [0, 1], color=COLORS["training"], linestyle=":", label=label)


def roc(sets: Sets) -> Figure:
    """True positive rate against false positive rate, of sets with both classes."""
    figure, axes = _figure("ROC", "false positive rate", "true positive rate")
    _diagonal(axes, "chance")
    for name, predictions in sets.items():
        if len(np.unique(predictions.labels)) == 2:
            x, y, _ = roc_curve(predictions.labels, predictions.probabilities, drop_intermediate=False)
            axes.plot(x, y, color=COLORS[name], label=name)
    axes.legend(loc="lower right")
    return figure


def precision_recall(sets: Sets) -> Figure:
    """Precision against recall, of sets with a positive review."""
    figure, axes = _figure("Precision and recall", "recall", "precision")
    for name, predictions in sets.items():
        if predictions.labels.any():
            y, x, _ = precision_recall_curve(predictions.labels, predictions.probabilities)
            axes.plot(x, y, color=COLORS[name], label=name)
    axes.set_ylim(top=1.01)
    if axes.lines:
        axes.legend(loc="lower left")
    return figure


def calibration(sets: Sets) -> Figure:
    """Reliability diagram: fraction of positives by predicted probability."""
    figure, axes = _figure("Calibration", 'probability of "positive"', "fraction of positives")
    _diagonal(axes, "perfect")
    for name, predictions in sets.items():
        _groups(axes, curves.reliability(predictions.probabilities, predictions.labels), name)
    axes.legend()
    return figure


def probabilities(sets: Sets) -> Figure:
    """Histograms of the predicted probabilities of each class."""
    figure, axes = _figure("Probabilities", 'probability of "positive"', "fraction of the class")
    bins = np.linspace(0, 1, CALIBRATION_BINS + 1)
    for name, predictions in sets.items():
        for label, style in (("negative", "--"), ("positive", "-")):
            values = predictions.probabilities[predictions.labels == (label == "positive")]
            heights = np.histogram(values, bins)[0] / max(1, len(values))
            axes.stairs(heights, bins, color=COLORS[name], linestyle=style, label=f"{name}, {label}")
    axes.legend(loc="upper center")
    return figure


def confusion(metrics: Mapping[str, Mapping[str, int]]) -> Figure:
    """Confusion matrix of each set, from its metrics."""
    figure = Figure(figsize=SIZE, layout="constrained")
    names = ["negative", "positive"]
    cells = ("true_negatives", "false_positives", "false_negatives", "true_positives")
    for i, (name, counts) in enumerate(metrics.items(), 1):
        axes = figure.add_subplot(1, len(metrics), i)
        table = np.array([counts[cell] for cell in cells]).reshape(2, 2)
        rates = table / np.maximum(1, table.sum(axis=1, keepdims=True))
        axes.imshow(rates, cmap="Blues", vmin=0, vmax=1.3)
        for (row, column), rate in np.ndenumerate(rates):
            axes.text(column, row, f"{table[row, column]}\n{rate:.1%}", ha="center", va="center")
        axes.set(title=f"Confusion: {name}", xlabel="predicted", ylabel="label")
        axes.set_xticks([0, 1], names)
        axes.set_yticks([0, 1], names, rotation=90, va="center")
        axes.grid(visible=False)
    return figure


def length(sets: Sets) -> Figure:
    """Accuracy by number of tokens."""
    figure, axes = _figure("Accuracy by length", "tokens after truncation", "accuracy")
    for name, predictions in sets.items():
        is_correct = (predictions.probabilities > 0.5) == (predictions.labels == 1)
        _groups(axes, curves.accuracy_by_length(predictions.words, is_correct), name)
    axes.margins(y=0.25)  # for the legend
    axes.legend()
    return figure


def _groups(axes: Axes, groups: curves.Groups, name: str) -> None:
    axes.errorbar(groups.x, groups.rate, groups.error, fmt="o-", markersize=4, color=COLORS[name], label=name)
