"""The accuracy benchmark: figures of a run, and the command line."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.accuracy import __main__ as accuracy
from benchmarks.accuracy.__main__ import calibration_gaps, evaluate
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


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.5])
def test_calibration_gaps_ignore_a_factor(factor: float) -> None:
    gaps = calibration_gaps(*draw(20_000, factor))
    assert np.abs(gaps).sum() / 20_000 < 0.02


def test_calibration_gaps_show_an_offset() -> None:
    logits, labels = draw(20_000, 1.0)
    gaps = calibration_gaps(logits + 2, labels)
    assert np.abs(gaps).sum() / 20_000 > 0.1


def test_calibration_gaps_are_by_bin() -> None:
    # All probabilities are 0.5, in the middle bin.
    logits = np.full(1_000, 0.0, np.float32)
    labels = (np.arange(1_000) % 4 < 2).astype(np.int8)
    gaps = calibration_gaps(logits, labels)
    assert gaps[CALIBRATION_BINS // 2] == pytest.approx(0)
    labels[:] = 1
    gaps = calibration_gaps(logits, labels)
    assert gaps[CALIBRATION_BINS // 2] == pytest.approx(500)
    assert np.count_nonzero(gaps) == 1


def test_run_specs_come_from_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    measured: list[str] = []

    def measure(*arguments: Any) -> list[Any]:
        measured.extend(arguments[-1])
        return []

    changes = ROOT / "benchmarks" / "accuracy" / "changes.txt"
    monkeypatch.setattr(accuracy, "measure", measure)
    monkeypatch.setattr(sys, "argv", ["accuracy", str(tmp_path), f"@{changes}", "preset=best"])
    accuracy.main()
    assert measured == [*changes.read_text("utf-8").splitlines(), "preset=best"]


def test_invalid_run_spec_stops_before_measuring(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(accuracy, "measure", None)
    monkeypatch.setattr(sys, "argv", ["accuracy", str(tmp_path), "preset=best", "preset=best,epoch=2"])
    with pytest.raises(SystemExit):
        accuracy.main()
    assert "'preset=best,epoch=2': unknown hyperparameter 'epoch'" in capsys.readouterr().err
