"""metrics.json and predictions.csv."""

import csv
import json
from pathlib import Path

import numpy as np

from sentiment.data.channels import Source
from sentiment.evaluation.metrics import evaluate_logits
from sentiment.text.sequences import Examples, Sequences
from sentiment.training.results import summarize, write_metrics, write_predictions
from sentiment.training.state import Epoch

LABELS = np.array([1, 0], np.int8)
LOGITS = np.array([2.0, 1.0], np.float32)
HISTORY = [Epoch(1, 0.5, 0.4, 0.8, 100.0), Epoch(2, 0.4, 0.5, 0.8, 100.0)]


def test_summary_has_epochs_and_metrics() -> None:
    content = summarize(HISTORY, {"validation": evaluate_logits(LOGITS, LABELS)})
    assert content["best_epoch"] == 1
    assert content["epochs"][1]["train_loss"] == 0.4
    assert content["validation"]["accuracy"] == 0.5


def test_undefined_metric_is_null(tmp_path: Path) -> None:
    write_metrics(tmp_path, summarize(HISTORY, {"validation": evaluate_logits(LOGITS[:1], LABELS[:1])}))
    assert json.loads((tmp_path / "metrics.json").read_text())["validation"]["roc_auc"] is None


def test_predictions_have_file_and_line(tmp_path: Path) -> None:
    sources = [Source("/data/training/r.csv", 2), Source("/data/training/r.csv", 5)]
    examples = {"validation": Examples(Sequences.from_lists([[2], [3, 4]]), LABELS)}
    write_predictions(
        tmp_path / "new",
        Path("/data"),
        examples,
        {"validation": LOGITS},
        {"validation": np.array([1, 2])},
        {"validation": sources},
    )
    with (tmp_path / "new" / "predictions.csv").open(newline="") as stream:
        assert list(csv.reader(stream)) == [
            ["set", "file", "line", "label", "probability", "words"],
            ["validation", "training/r.csv", "2", "1", "0.880797", "1"],
            ["validation", "training/r.csv", "5", "0", "0.731059", "2"],
        ]
