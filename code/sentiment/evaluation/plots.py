"""The pictures of the report, drawn by matplotlib without a screen."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sentiment.evaluation import curves
from sentiment.evaluation.curves import Predictions
from sentiment.evaluation.metrics import CALIBRATION_BINS

SIZE = (5.4, 3.6)  # inches
COLORS = {"training": "#8a93a0", "validation": "#1f6feb", "test": "#d9730d"}
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
    """All pictures, by name, of what ``metrics.json`` holds and of the held-out sets, by name."""
    with mpl.rc_context(_STYLE):
        return {
            "loss": loss(metrics["epochs"], metrics["best_epoch"]),
            "accuracy": accuracy(metrics["epochs"], metrics["best_epoch"]),
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


def loss(epochs: Sequence[Mapping[str, Any]], best_epoch: int) -> Figure:
    """Training and validation loss by epoch."""
    figure, axes = _figure("Loss", "epoch", "mean log loss (nats)")
    _by_epoch(axes, epochs, "train_loss", "training")
    _by_epoch(axes, epochs, "validation_loss", "validation")
    _mark(axes, best_epoch)
    return figure


def accuracy(epochs: Sequence[Mapping[str, Any]], best_epoch: int) -> Figure:
    """Validation accuracy by epoch."""
    figure, axes = _figure("Accuracy", "epoch", "accuracy")
    _by_epoch(axes, epochs, "validation_accuracy", "validation")
    _mark(axes, best_epoch)
    return figure


def _by_epoch(axes: Axes, epochs: Sequence[Mapping[str, Any]], key: str, name: str) -> None:
    numbers = [epoch["epoch"] for epoch in epochs]
    axes.plot(
        numbers, [epoch[key] for epoch in epochs], marker="o", markersize=4, color=COLORS[name], label=name
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _mark(axes: Axes, best_epoch: int) -> None:
    axes.axvline(best_epoch, color="#57606a", linestyle=":", label="kept")
    axes.legend()


def roc(sets: Sets) -> Figure:
    """How many positives are found at what price."""
    figure, axes = _figure("ROC", "false positive rate", "true positive rate")
    axes.plot([0, 1], [0, 1], color=COLORS["training"], linestyle=":", label="by chance")
    for name, each in sets.items():
        if len(np.unique(each.labels)) == 2:
            axes.plot(*curves.roc(each.probabilities, each.labels), color=COLORS[name], label=name)
    axes.legend(loc="lower right")
    return figure


def precision_recall(sets: Sets) -> Figure:
    """How pure what is found is."""
    figure, axes = _figure("Precision and recall", "recall", "precision")
    for name, each in sets.items():
        if each.labels.any():
            curve = curves.precision_recall(each.probabilities, each.labels)
            axes.plot(*curve, color=COLORS[name], label=name)
    axes.set_ylim(top=1.01)
    if axes.lines:
        axes.legend(loc="lower left")
    return figure


def calibration(sets: Sets) -> Figure:
    """Whether a probability means what it says."""
    figure, axes = _figure("Calibration", 'probability of "positive"', "share that is positive")
    axes.plot([0, 1], [0, 1], color=COLORS["training"], linestyle=":", label="perfect")
    for name, each in sets.items():
        _groups(axes, curves.reliability(each.probabilities, each.labels), name)
    axes.legend()
    return figure


def probabilities(sets: Sets) -> Figure:
    """How sure the predictions are, of positive and of negative reviews."""
    figure, axes = _figure("Probabilities", 'probability of "positive"', "share of the class")
    bins = np.linspace(0, 1, CALIBRATION_BINS + 1)
    for name, each in sets.items():
        for label, style in ((1, "-"), (0, "--")):
            chosen = each.probabilities[each.labels == label]
            counts, _ = np.histogram(chosen, bins)
            text = f"{name}, {'positive' if label else 'negative'}"
            axes.stairs(counts / max(1, len(chosen)), bins, color=COLORS[name], linestyle=style, label=text)
    axes.legend(loc="upper center")
    return figure


def confusion(figures: Mapping[str, Mapping[str, int]]) -> Figure:
    """What was taken for what, from the figures of each set."""
    figure = Figure(figsize=SIZE, layout="constrained")
    names = ["negative", "positive"]
    for i, (name, each) in enumerate(figures.items()):
        axes = figure.add_subplot(1, len(figures), i + 1)
        table = np.array(
            [
                [each["true_negatives"], each["false_positives"]],
                [each["false_negatives"], each["true_positives"]],
            ]
        )
        shares = table / np.maximum(1, table.sum(axis=1, keepdims=True))
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.3)
        for row in range(2):
            for column in range(2):
                text = f"{table[row, column]}\n{shares[row, column]:.1%}"
                axes.text(column, row, text, ha="center", va="center")
        axes.set(title=f"Confusion: {name}", xlabel="predicted", ylabel="is")
        axes.set_xticks([0, 1], names)
        axes.set_yticks([0, 1], names, rotation=90, va="center")
        axes.grid(visible=False)
    return figure


def length(sets: Sets) -> Figure:
    """Whether long reviews are harder than short ones."""
    figure, axes = _figure("Length against accuracy", "words that count", "accuracy")
    for name, each in sets.items():
        is_right = (each.probabilities > 0.5) == (each.labels == 1)
        _groups(axes, curves.accuracy_by_length(each.words, is_right), name)
    axes.margins(y=0.25)  # for the legend
    axes.legend()
    return figure


def _groups(axes: Axes, groups: curves.Groups, name: str) -> None:
    axes.errorbar(
        groups.x, groups.share, groups.error, marker="o", markersize=4, color=COLORS[name], label=name
    )
