"""Content of the report page, and failures that must not fail the job."""

import base64
import json
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from byoc.opt_ml import OptMl
from byoc.version import version
from sentiment.evaluation import report
from sentiment.evaluation.curves import Predictions
from sentiment.hyperparameters import Hyperparameters

EPOCHS = [
    {
        "epoch": number,
        "train_loss": 0.6 / number,
        "validation_loss": 0.5,
        "validation_accuracy": 0.71234,
        "reviews_per_second": 100.0 * number,
    }
    for number in (1, 2, 3)
]
FIGURES = {
    "reviews": 4, "accuracy": 0.5, "f1": 0.5, "roc_auc": 0.75, "log_loss": 0.6931, "calibration_error": 0.1,
    "true_positives": 1, "false_positives": 1, "true_negatives": 1, "false_negatives": 1,
}  # fmt: skip
MODEL = {
    "network": {"vocab_size": 30_000},
    "text": {"max_length": 500, "truncate": "tail"},
    "training": {
        "hyperparameters": {"epochs": 7, "dropout": Hyperparameters().dropout},
        "reviews": {"training": 22_458},
        "hardware": "2 cores",
    },
}
ROWS = [
    ("validation", "training/a.csv", 2, 1, 0.9, 10),
    ("validation", "training/a.csv", 3, 1, 0.2, 20),
    ("validation", "training/a.csv", 4, 0, 0.99, 30),
    ("validation", "training/<b>.csv", 5, 0, 0.4, 40),
]


@pytest.fixture(scope="module")
def images() -> dict[str, bytes]:
    """The plots of one job, drawn once."""
    validation = Predictions(np.array([0, 1], np.int8), np.array([0.4, 0.9]), np.array([10, 20]))
    metrics = {"best_epoch": 2, "epochs": EPOCHS, "validation": FIGURES}
    return report.draw(metrics, {"validation": validation})


@pytest.fixture(autouse=True)
def _draw_once(monkeypatch: pytest.MonkeyPatch, images: dict[str, bytes]) -> None:
    monkeypatch.setattr(report, "draw", lambda *_: images)


@pytest.fixture
def opt_ml(tmp_path: Path) -> OptMl:
    """The folder of a job before its report."""
    job = OptMl(tmp_path)
    job.model.mkdir()
    job.output_data.mkdir(parents=True)
    (job.model / "model.json").write_text(json.dumps(MODEL))
    write(job, {"validation": FIGURES}, ROWS)
    return job


def write(opt_ml: OptMl, sets: dict[str, Any], rows: list[Any]) -> None:
    metrics = {"best_epoch": 2, "epochs": EPOCHS, **sets}
    (opt_ml.output_data / "metrics.json").write_text(json.dumps(metrics))
    lines = ["set,file,line,label,probability,words", *(",".join(map(str, row)) for row in rows)]
    (opt_ml.output_data / "predictions.csv").write_text("\n".join(lines) + "\n")


def page(opt_ml: OptMl, seconds: float = 772) -> str:
    report.write(opt_ml, seconds)
    return (opt_ml.output_data / "report.html").read_text("utf-8")


def summary(text: str) -> str:
    """The page up to the first section."""
    return text.partition("<h2>")[0]


def cells(text: str, first: str) -> list[str]:
    """Cells, without tags, of the row that starts with a given cell."""
    (row,) = [row for row in re.findall(r"<tr[^>]*>(.*?)</tr>", text, re.S) if f">{first}<" in row]
    return [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<td.*?</td>", row, re.S)]


def test_page_has_metrics(opt_ml: OptMl) -> None:
    expected = ["validation", "4", "50.0% ± 25.0%", "0.5000", "0.7500", "0.6931", "0.1000"]
    text = page(opt_ml)
    assert cells(summary(text), "validation") == expected


def test_parts_have_rows_of_their_own(opt_ml: OptMl) -> None:
    parts = {"ngram": FIGURES | {"accuracy": 0.25}, "lstm": FIGURES | {"log_loss": 0.8}}
    write(opt_ml, {"validation": FIGURES, "parts": {"validation": parts}}, ROWS)
    text = summary(page(opt_ml))
    assert cells(text, "validation")[2] == "50.0% ± 25.0%"
    assert cells(text, "validation, n-gram model alone")[2] == "25.0% ± 21.7%"
    assert cells(text, "validation, LSTM alone")[5] == "0.8000"


def test_pretraining_epochs_have_rows(opt_ml: OptMl) -> None:
    epoch = {"pretraining_epoch": 17, "train_perplexity": 150.04, "validation_perplexity": 170.06}
    write(opt_ml, {"validation": FIGURES, "pretraining": [epoch | {"tokens_per_second": 9_000}]}, ROWS)
    assert cells(page(opt_ml), "17") == ["17", "150.0", "170.1", "9000"]
    write(opt_ml, {"validation": FIGURES, "pretraining": []}, ROWS)
    assert "perplexity" not in page(opt_ml)


def test_best_epoch_is_highlighted(opt_ml: OptMl) -> None:
    rows = re.findall(r'<tr( class="highlighted")?>\n<td class="number">(\d)</td>', page(opt_ml))
    assert [(number, bool(highlighted)) for highlighted, number in rows] == [
        ("1", False),
        ("2", True),
        ("3", False),
    ]


def test_page_has_duration_and_throughput(opt_ml: OptMl) -> None:
    text = page(opt_ml)
    assert cells(text, "job duration") == ["job duration", "12 min 52 s"]
    assert cells(text, "reviews per second, median over epochs")[1] == "200"


def test_duration_may_have_hours(opt_ml: OptMl) -> None:
    assert cells(page(opt_ml, 3_700), "job duration")[1] == "1 h 1 min"


def test_page_has_data_and_version(opt_ml: OptMl) -> None:
    text = page(opt_ml)
    assert cells(text, "training reviews")[1] == "22,458"
    assert cells(text, "positive validation reviews")[1] == "2"
    assert cells(text, "validation tokens after truncation")[1] == "100"
    assert cells(text, "vocabulary size")[1] == "30,000"
    assert f"version {version()}" in text


def test_changed_hyperparameters_are_highlighted(opt_ml: OptMl) -> None:
    text = page(opt_ml).partition("<h2>Hyperparameters</h2>")[2]
    marked = re.findall(r'<tr( class="highlighted")?><td><code>(\w+)</code>', text)
    assert marked == [(' class="highlighted"', "epochs"), ("", "dropout")]


def test_mistakes_are_sorted_by_confidence(opt_ml: OptMl) -> None:
    text = page(opt_ml).partition("<h2>Most confident mistakes</h2>")[2].partition("<h2>")[0]
    rows = [re.sub(r"<[^>]+>|\s+", " ", row).split() for row in re.findall(r"<tr>(.*?)</tr>", text, re.S)]
    assert rows[1:] == [
        ["validation", "training/a.csv", "4", "negative", "0.9900"],
        ["validation", "training/a.csv", "3", "positive", "0.2000"],
    ]


def test_number_of_mistakes_is_limited(opt_ml: OptMl) -> None:
    rows = [("validation", "training/a.csv", line, 0, 0.6, 10) for line in range(2, 100)]
    write(opt_ml, {"validation": FIGURES}, [*rows, ROWS[0]])
    assert page(opt_ml).count("<code>training/a.csv</code>") == report.MISTAKES


def test_page_may_have_no_mistakes(opt_ml: OptMl) -> None:
    write(opt_ml, {"validation": FIGURES}, [ROWS[0], ROWS[3]])
    assert "<p>None.</p>" in page(opt_ml)


def test_file_review_has_no_line(opt_ml: OptMl) -> None:
    write(opt_ml, {"validation": FIGURES}, [("validation", "training/neg/1_2.txt", 0, 0, 0.9, 10), ROWS[0]])
    assert cells(page(opt_ml), "training/neg/1_2.txt")[2] == ""


def test_tiles_prefer_test_set(opt_ml: OptMl) -> None:
    rows = [*ROWS, *(("test", *row[1:]) for row in ROWS)]
    write(opt_ml, {"validation": FIGURES, "test": FIGURES | {"reviews": 40}}, rows)
    text = page(opt_ml)
    assert "Accuracy on test<b>50.0%</b>" in text
    assert cells(summary(text), "test")[1] == "40"


def test_undefined_metric_is_named(opt_ml: OptMl) -> None:
    write(opt_ml, {"validation": FIGURES | {"roc_auc": None}}, [ROWS[0], ROWS[1]])
    assert cells(summary(page(opt_ml)), "validation")[4] == "undefined"


def test_file_names_are_escaped(opt_ml: OptMl) -> None:
    write(opt_ml, {"validation": FIGURES}, [("validation", "training/<script>x", 5, 0, 0.9, 40), ROWS[0]])
    text = page(opt_ml)
    assert "<script" not in text
    assert "training/&lt;script&gt;x" in text


def test_page_lists_files(opt_ml: OptMl) -> None:
    labels = {"5": {"rows": 2, "meaning": 1}, "3": {"rows": 1, "meaning": None}}
    file: dict[str, Any] = {
        "file": "<a>.csv",
        "split": "training",
        "format": "CSV, tab-doubled",
        "text": "body",
        "label": "stars",
    }
    file |= {"rows": 3, "labels": labels, "skipped": {"empty row": 4}}
    write(opt_ml, {"validation": FIGURES, "files": [file]}, ROWS)
    html = " ".join(page(opt_ml).split())
    for text in ("&lt;a&gt;.csv", "CSV, tab-doubled", "5 = 1 (2), 3 = left out (1)", "4: empty row"):
        assert text in html


def test_page_embeds_plots(opt_ml: OptMl) -> None:
    encoded = re.findall(r'src="data:image/png;base64,([^"]+)"', page(opt_ml))
    assert len(encoded) == 8
    assert all(base64.b64decode(data).startswith(b"\x89PNG") for data in encoded)


def test_page_loads_nothing(opt_ml: OptMl) -> None:
    text = page(opt_ml)
    assert re.findall(r"https?:|url\(|@import|<link|<script|<iframe", text) == []
    assert all(source.startswith("data:") for source in re.findall(r'src="([^"]*)"', text))
    assert "default-src 'none'" in text


def test_failure_is_logged_as_warning(opt_ml: OptMl, caplog: pytest.LogCaptureFixture) -> None:
    (opt_ml.output_data / "predictions.csv").unlink()
    with caplog.at_level(logging.WARNING):
        report.write(opt_ml, 1)
    assert "cannot write the report: FileNotFoundError" in caplog.text
