"""Data shown by the plots of the report."""

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from sentiment.evaluation import plots
from sentiment.evaluation.curves import Predictions
from sentiment.evaluation.metrics import calibration_error

EPOCHS = [
    {"epoch": 1, "train_loss": 0.6, "validation_loss": 0.5, "validation_accuracy": 0.7},
    {"epoch": 2, "train_loss": 0.4, "validation_loss": 0.6, "validation_accuracy": 0.6},
]
COUNTS = {"true_negatives": 0, "false_positives": 0, "false_negatives": 2, "true_positives": 2}
METRICS = {"epochs": EPOCHS, "best_epoch": 1, "validation": COUNTS}
SET = Predictions(np.array([0, 0, 1, 1], np.int8), np.array([0.1, 0.7, 0.6, 0.9]), np.array([5, 10, 20, 500]))


def lines(figure: Figure) -> dict[str, Any]:
    """Points of each line by its legend entry."""
    return {str(line.get_label()): line.get_xydata().tolist() for line in figure.axes[0].lines}  # type: ignore[union-attr]


def test_loss_plot_has_every_epoch() -> None:
    drawn = lines(plots.by_epoch("Loss", "nats", METRICS, **plots.LOSSES))
    assert drawn["training"] == [[1, 0.6], [2, 0.4]]
    assert drawn["validation"] == [[1, 0.5], [2, 0.6]]
    assert drawn["best epoch"] == [[1, 0], [1, 1]]


def test_accuracy_plot_has_every_epoch() -> None:
    assert lines(plots.draw(METRICS, {"validation": SET})["accuracy"])["validation"] == [[1, 0.7], [2, 0.6]]


def test_roc_plot_has_every_threshold() -> None:
    expected = [[0, 0], [0, 0.5], [0.5, 0.5], [0.5, 1], [1, 1]]
    assert lines(plots.roc({"validation": SET}))["validation"] == expected


def test_precision_recall_plot_has_every_threshold() -> None:
    expected = [[1, 0.5], [1, pytest.approx(2 / 3)], [0.5, 0.5], [0.5, 1], [0, 1]]
    assert lines(plots.precision_recall({"test": SET}))["test"] == expected


def test_calibration_plot_shows_reliability() -> None:
    (container,) = plots.calibration({"validation": SET}).axes[0].containers
    points = np.array(container[0].get_xydata())
    assert np.abs(points[:, 1] - points[:, 0]).mean() == pytest.approx(
        calibration_error(SET.probabilities, SET.labels)
    )


def test_confusion_plot_has_counts_and_rates() -> None:
    counts = {"true_negatives": 3, "false_positives": 1, "false_negatives": 0, "true_positives": 2}
    figure = plots.confusion({"validation": counts, "test": counts})
    assert [text.get_text() for text in figure.axes[1].texts] == [
        "3\n75.0%", "1\n25.0%", "0\n0.0%", "2\n100.0%",
    ]  # fmt: skip


def test_length_plot_has_accuracy_by_length() -> None:
    (container,) = plots.length({"validation": SET}).axes[0].containers
    assert container[0].get_xydata().tolist() == [[5, 1], [10, 0], [20, 1], [500, 1]]


@pytest.mark.parametrize("label", [0, 1])
def test_undefined_curves_are_omitted(label: int) -> None:
    alone = SET._replace(labels=np.full(4, label, np.int8))
    figures = plots.draw(METRICS, {"validation": alone})
    assert "validation" not in lines(figures["roc"])
    assert ("validation" in lines(figures["precision_recall"])) == (label == 1)
