"""What was measured, in three tables."""

from typing import Any

import pytest

from benchmarks import quality_table
from benchmarks.folds import FOLDS
from benchmarks.quality_table import (
    BEGIN,
    END,
    by_setting,
    changed,
    on_all_folds,
    on_first_fold,
    summary,
    write_table,
)


def run(
    setting: str, fold: int, seed: int, accuracy: float, gaps: tuple[float, ...] = (0.0,)
) -> dict[str, Any]:
    return {
        "setting": setting, "fold": fold, "seed": seed, "accuracy": accuracy, "reviews": 100,
        "log_loss": 1 - accuracy, "calibration_gaps": list(gaps),
        "seconds": 60 * seed, "date": f"2026-01-0{seed}", "processor": "CPU",
    }  # fmt: skip


def test_every_fold_counts_alike_whatever_its_seeds() -> None:
    of = summary([run("a", 0, 1, 0.8), run("a", 0, 2, 0.6), run("a", 1, 1, 0.9)])
    assert of["accuracy"] == pytest.approx((0.7 + 0.9) / 2)
    assert (of["folds"], of["seeds"], of["date"]) == ([0, 1], [1, 2], "2026-01-02")


def test_seeds_are_no_further_reviews() -> None:
    one, two = summary([run("a", 0, 1, 0.8)]), summary([run("a", 0, 1, 0.8), run("a", 0, 2, 0.8)])
    assert one["standard_error"] == two["standard_error"] == pytest.approx(0.04)
    assert summary([run("a", 0, 1, 0.8), run("a", 1, 1, 0.8)])["standard_error"] == pytest.approx(
        0.04 / 2**0.5
    )


def test_calibration_is_pooled_over_the_folds() -> None:
    of = summary([run("a", 0, 1, 0.8, (3.0, -1.0)), run("a", 1, 1, 0.8, (-1.0, -1.0))])
    assert of["calibration_error"] == pytest.approx((2 + 2) / 200)


def test_best_setting_comes_first() -> None:
    assert list(by_setting([run("a", 0, 1, 0.7), run("b", 0, 1, 0.9)])) == ["b", "a"]


def test_first_fold_is_that_of_recipes_and_baselines() -> None:
    runs = [run("a", 0, 1, 0.7), run("a", 1, 1, 0.9), run("b", 0, 2, 0.8), run("b,epochs=2", 0, 2, 0.8)]
    assert on_first_fold(runs) == [runs[0], runs[2]]


def test_changed_values_are_beside_their_recipe() -> None:
    recipe, changes = run("b", 0, 1, 0.8), [run(f"b,epochs={n}", 0, 1, n / 10) for n in (7, 9)]
    others = [run("a", 0, 1, 0.7), run("b", 0, 2, 0.7), run("b,epochs=7", 1, 1, 0.7)]
    assert changed([*others, changes[0], recipe, changes[1]]) == [changes[1], recipe, changes[0]]


def test_all_folds_are_of_one_seed() -> None:
    complete = [run("a", fold, 1, 0.7) for fold in range(FOLDS)]
    assert on_all_folds([*complete, run("a", 0, 2, 0.8), run("b", 0, 1, 0.8)]) == complete


def test_table_is_put_in_its_place(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "quality.md"
    path.write_text(f"before\n{BEGIN}old\n{END}after\n")
    monkeypatch.setattr(quality_table, "QUALITY", path)
    write_table([run("a", 0, 2, 0.8), run("recipe=b,epochs=2,seed=3", 0, 1, 0.75)])
    text = path.read_text()
    assert text.startswith(f"before\n{BEGIN}| setting |")
    assert text.endswith(f"{END}after\n")
    assert "| a | 0 | 2 | 80.0% | 4.0% | 0.000 | 2 min | 2026-01-02 | CPU |" in text
    assert "| b | epochs=2, seed=3 | 75.0% | 0.250 | 60 s | 2026-01-01 | CPU |" in text
    assert "\nold\n" not in text


def test_table_is_that_of_the_results() -> None:
    """Nobody has changed the one without the other."""
    measured = quality_table.QUALITY.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]
    assert measured == quality_table.tables(quality_table.kept())
