"""What is run, and the figures of a run."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import quality
from benchmarks.quality import calibration_gaps, figures
from benchmarks.report import ROOT
from sentiment.evaluation.metrics import CALIBRATION_BINS, sigmoid


def drawn(count: int, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels that are as probable as the logits times a factor say."""
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 3, count).astype(np.float32)
    return logits, (generator.random(count) < sigmoid(logits * factor)).astype(np.int8)


def test_figures_are_of_the_logits() -> None:
    of = figures(np.array([2, -1, 3, -4], np.float32), np.array([1, 1, 1, 0], np.int8), 12.4)
    assert (of["reviews"], of["accuracy"], of["seconds"]) == (4, 0.75, 12)
    assert of["log_loss"] == pytest.approx(np.log1p(np.exp([-2, 1, -3, -4])).mean(), abs=1e-5)
    assert len(of["calibration_gaps"]) == CALIBRATION_BINS


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.5])
def test_temperature_of_the_other_half_takes_away_what_is_wrong_by_a_factor(factor: float) -> None:
    gaps = calibration_gaps(*drawn(20_000, factor))
    assert np.abs(gaps).sum() / 20_000 < 0.02


def test_what_no_temperature_mends_is_left() -> None:
    logits, labels = drawn(20_000, 1.0)
    gaps = calibration_gaps(logits + 2, labels)
    assert np.abs(gaps).sum() / 20_000 > 0.1


def test_gaps_are_of_the_bin_of_each_probability() -> None:
    # All alike, so that one bin has all of what is missing: half of the reviews less a tenth of a bin.
    logits = np.full(1_000, 0.0, np.float32)
    labels = (np.arange(1_000) % 4 < 2).astype(np.int8)
    gaps = calibration_gaps(logits, labels)
    assert gaps[CALIBRATION_BINS // 2] == pytest.approx(0)
    labels[:] = 1
    gaps = calibration_gaps(logits, labels)
    assert gaps[CALIBRATION_BINS // 2] == pytest.approx(500)
    assert np.count_nonzero(gaps) == 1


def test_settings_come_from_a_file_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []

    def measure(*arguments: Any) -> list[Any]:
        asked.extend(arguments[-1])
        return []

    changes = ROOT / "benchmarks" / "changes.txt"
    monkeypatch.setattr(quality, "measure", measure)
    monkeypatch.setattr(sys, "argv", ["quality", str(tmp_path), f"@{changes}", "recipe=best"])
    quality.main()
    assert asked == [*changes.read_text("utf-8").splitlines(), "recipe=best"]


def test_mistake_is_told_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(quality, "measure", None)
    monkeypatch.setattr(sys, "argv", ["quality", str(tmp_path), "recipe=best", "recipe=best,epoch=2"])
    with pytest.raises(SystemExit):
        quality.main()
    assert "'recipe=best,epoch=2': hyperparameter epoch" in capsys.readouterr().err
