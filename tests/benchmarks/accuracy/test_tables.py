"""Tables of the accuracy runs."""

from pathlib import Path

import pytest

from benchmarks.accuracy import tables
from benchmarks.accuracy.tables import (
    BEGIN,
    END,
    Run,
    by_run_spec,
    on_common_folds,
    summarize,
    write_tables,
)


def run(spec: str, fold: int, seed: int, accuracy: float, gaps: tuple[float, ...] = (0.0,)) -> Run:
    return {
        "run_spec": spec, "fold": fold, "seed": seed, "accuracy": accuracy, "reviews": 100,
        "log_loss": 1 - accuracy, "calibration_gaps": list(gaps),
        "seconds": 60 * seed, "date": f"2026-01-0{seed}", "processor": "CPU",
    }  # fmt: skip


def test_folds_have_equal_weight() -> None:
    summary = summarize([run("a", 0, 1, 0.8), run("a", 0, 2, 0.6), run("a", 1, 1, 0.9)])
    assert summary["accuracy"] == pytest.approx((0.7 + 0.9) / 2)
    assert (summary["seeds"], summary["date"]) == ([1, 2], "2026-01-02")


def test_seeds_do_not_reduce_standard_error() -> None:
    one, two = summarize([run("a", 0, 1, 0.8)]), summarize([run("a", 0, 1, 0.8), run("a", 0, 2, 0.8)])
    assert one["standard_error"] == two["standard_error"] == pytest.approx(0.04)


def test_folds_reduce_standard_error() -> None:
    summary = summarize([run("a", 0, 1, 0.8), run("a", 1, 1, 0.8)])
    assert summary["standard_error"] == pytest.approx(0.04 / 2**0.5)


def test_calibration_error_is_pooled_over_folds() -> None:
    summary = summarize([run("a", 0, 1, 0.8, (3.0, -1.0)), run("a", 1, 1, 0.8, (-1.0, -1.0))])
    assert summary["calibration_error"] == pytest.approx((2 + 2) / 200)


def test_most_accurate_run_spec_comes_first() -> None:
    assert list(by_run_spec([run("a", 0, 1, 0.7), run("b", 0, 1, 0.9)])) == ["b", "a"]


def test_common_folds_are_those_of_default() -> None:
    common = [run(spec, fold, 1, 0.7) for spec in ("preset=default", "a") for fold in (1, 2)]
    others = [run("a", 0, 1, 0.8), run("a", 1, 2, 0.8), run("b", 1, 1, 0.8)]
    assert on_common_folds([*common, *others]) == common


def test_write_tables_replaces_only_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "experiments.md"
    path.write_text(f"before\n{BEGIN}old\n{END}after\n")
    monkeypatch.setattr(tables, "EXPERIMENTS", path)
    write_tables([run("a", 0, 2, 0.8), run("b,epochs=2,seed=3", 0, 1, 0.75)])
    text = path.read_text()
    assert text.startswith(f"before\n{BEGIN}| run |")
    assert text.endswith(f"{END}after\n")
    assert "| a | 2 | 80.0% | 4.0% | 0.000 | 2 min | 0.200 | 2026-01-02 | CPU |" in text
    assert "| b, epochs=2, seed=3 | 1 | 75.0% | 4.3% | 0.000 | 60 s | 0.250 | 2026-01-01 | CPU |" in text
    assert "\nold\n" not in text


def test_document_matches_results() -> None:
    measured = tables.EXPERIMENTS.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]
    assert measured == tables.tables(tables.load_runs())
