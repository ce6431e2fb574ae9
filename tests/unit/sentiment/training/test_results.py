"""metrics.json and predictions.csv."""

import csv
import json
from pathlib import Path

import numpy as np

from sentiment.data.channels import Source
from sentiment.evaluation.metrics import evaluate_logits
from sentiment.text.sequences import Examples, Sequences
from sentiment.training.results import to_json, write_metrics, write_predictions

LABELS = np.array([1, 0], np.int8)
LOGITS = np.array([2.0, 1.0], np.float32)


def test_undefined_metric_is_null(tmp_path: Path) -> None:
    write_metrics(tmp_path, {"validation": to_json(evaluate_logits(LOGITS[:1], LABELS[:1]))})
    content = json.loads((tmp_path / "metrics.json").read_text())["validation"]
    assert content["roc_auc"] is None
    assert content["accuracy"] == 1


def test_predictions_have_file_and_line(tmp_path: Path) -> None:
    sources = [Source("/data/training/r.csv", 2), Source("/data/training/r.csv", 5)]
    examples = {"validation": Examples(Sequences.from_lists([[2], [3, 4]]), LABELS)}
    write_predictions(
        tmp_path / "new",
        Path("/data"),
        examples,
        {"validation": LOGITS},
        {"validation": sources},
    )
    with (tmp_path / "new" / "predictions.csv").open(newline="") as stream:
        assert list(csv.reader(stream)) == [
            ["set", "file", "line", "label", "probability", "words"],
            ["validation", "training/r.csv", "2", "1", "0.880797", "1"],
            ["validation", "training/r.csv", "5", "0", "0.731059", "2"],
        ]
