"""The accuracy benchmark: figures of a run, and the command line."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.accuracy import __main__ as accuracy
from benchmarks.accuracy.__main__ import evaluate, parse_run_spec
from benchmarks.accuracy.tables import load_runs
from benchmarks.harness import ROOT
from sentiment.evaluation.metrics import CALIBRATION_BINS, sigmoid


def draw(count: int, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from the probabilities of the logits times a factor."""
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 3, count).astype(np.float32)
    return logits, (generator.random(count) < sigmoid(logits * factor)).astype(np.int8)


def test_evaluate_measures_the_logits() -> None:
    figures = evaluate(np.array([2, -1, 3, -4], np.float32), np.array([1, 1, 1, 0], np.int8), 12.4)
    assert (figures["reviews"], figures["accuracy"], figures["seconds"]) == (4, 0.75, 12)
    assert figures["log_loss"] == pytest.approx(np.log1p(np.exp([-2, 1, -3, -4])).mean(), abs=1e-5)
    assert len(figures["calibration_gaps"]) == CALIBRATION_BINS


@pytest.mark.parametrize(("factor", "offset"), [(0.5, 0), (1.0, 2), (1.5, -2)])
def test_calibration_gaps_ignore_factor_and_offset(factor: float, offset: float) -> None:
    logits, labels = draw(20_000, factor)
    gaps = evaluate(logits + np.float32(offset), labels, 0)["calibration_gaps"]
    assert np.abs(gaps).sum() / 20_000 < 0.02


def test_calibration_gaps_show_a_distortion() -> None:
    logits, labels = draw(20_000, 1.0)
    gaps = evaluate(np.sign(logits) * np.sqrt(np.abs(logits)), labels, 0)["calibration_gaps"]
    assert np.abs(gaps).sum() / 20_000 > 0.02


def test_calibration_gaps_are_by_bin() -> None:
    # All probabilities are 0.5, in the middle bin, but 30 % of the labels are positive.
    logits = np.zeros(1_000, np.float32)
    labels = (np.arange(1_000) // 2 % 10 < 3).astype(np.int8)
    gaps = evaluate(logits, labels, 0)["calibration_gaps"]
    assert np.count_nonzero(gaps) == 1
    assert gaps[int(0.3 * CALIBRATION_BINS)] == pytest.approx(0, abs=2)


CHANGES = ROOT / "benchmarks" / "accuracy" / "changes.txt"


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The run specifications that the benchmark measures; none is run."""
    specs: list[str] = []

    def measure(*arguments: Any) -> list[Any]:
        specs.extend(arguments[3])
        return []

    monkeypatch.setattr(accuracy, "measure", measure)
    return specs


def start(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> None:
    monkeypatch.setattr(sys, "argv", ["accuracy", *map(str, arguments)])
    accuracy.main()


def test_run_specs_come_from_files(
    measured: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    start(monkeypatch, tmp_path, f"@{CHANGES}", "preset=best")
    assert measured == [*CHANGES.read_text("utf-8").splitlines(), "preset=best"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("epochs=2", "does not begin with preset="),
        ("", "does not begin with preset="),
        ("preset=best,epochs", "epochs"),
        ("preset=best,epoch=2", "'preset=best,epoch=2': unknown hyperparameter 'epoch'"),
        ("preset=worst", "one of default, baseline, best"),
    ],
)
def test_invalid_run_spec_stops_before_measuring(
    measured: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], spec: str, message: str,
) -> None:  # fmt: skip
    with pytest.raises(SystemExit):
        start(monkeypatch, tmp_path, "preset=best", spec)
    assert message in capsys.readouterr().err
    assert measured == []


def test_missing_folder_is_rejected(
    measured: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        start(monkeypatch, tmp_path / "aclImdb")
    assert "no such folder" in capsys.readouterr().err
    assert measured == []


def test_run_spec_is_hyperparameters() -> None:
    assert parse_run_spec("preset=best,epochs=2") == {"preset": "best", "epochs": "2"}


def test_changes_were_measured() -> None:
    assert set(CHANGES.read_text("utf-8").splitlines()) <= {
        run["run_spec"] for run in load_runs() if run["fold"] == 0
    }
