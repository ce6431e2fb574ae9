"""Drawing settings and choosing the best; tests/end_to_end/test_tuning.py trains with them."""

import random
from pathlib import Path

import click
import pytest

from jobs import local_tuning
from jobs.local_tuning import Result, draw, metrics
from tests.jobs.conftest import Run, shown

SEED = 1


def values(entry: dict[str, str], kind: str = "Continuous") -> list[float]:
    """Many values from one range."""
    ranges: dict[str, list[dict[str, str]]] = {
        f"{each}ParameterRanges": [] for each in ("Continuous", "Integer", "Categorical")
    }
    ranges[f"{kind}ParameterRanges"] = [{"Name": "a"} | entry]
    generator = random.Random(SEED)
    return [float(draw(ranges, generator)["a"]) for _ in range(2000)]


def share_below(drawn: list[float], limit: float) -> float:
    return sum(value < limit for value in drawn) / len(drawn)


@pytest.mark.parametrize(
    ("scale", "low", "high", "middle"),
    [
        ("Linear", "1", "100", 50.5),
        ("Auto", "1", "100", 50.5),
        ("Logarithmic", "1", "100", 10),
        ("ReverseLogarithmic", "0.9", "0.999", 0.99),
    ],
)
def test_half_of_the_values_lie_on_each_side_of_the_scales_middle(
    scale: str, low: str, high: str, middle: float
) -> None:
    drawn = values({"MinValue": low, "MaxValue": high, "ScalingType": scale})
    assert float(low) <= min(drawn)
    assert max(drawn) <= float(high)
    assert share_below(drawn, middle) == pytest.approx(0.5, abs=0.05)


def test_integers_include_both_ends() -> None:
    drawn = values({"MinValue": "1", "MaxValue": "3"}, "Integer")
    assert set(drawn) == {1, 2, 3}


def test_last_value_of_each_metric_counts() -> None:
    definitions = [{"Name": "a", "Regex": "a=([0-9.]+);"}, {"Name": "b", "Regex": "b=([0-9.]+);"}]
    assert metrics(definitions, "a=1;\na=2.5; b=x;\n") == {"a": 2.5}


@pytest.mark.parametrize(("kind", "best"), [("Maximize", "0.9000"), ("Minimize", "0.0000")])
def test_best_is_that_of_the_objective(
    kind: str, best: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = [Result({"a": str(each)}, each, tmp_path) for each in (0.5, 0.0, 0.9)]
    local_tuning._print_best(results, {"MetricName": "b", "Type": kind})
    assert f"best b: {best}" in capsys.readouterr().out


def test_failures_are_told_and_do_not_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "failure").write_text("the cause\nmore")
    with pytest.raises(click.ClickException, match="no run gave a result"):
        local_tuning._print_best([Result({}, None, tmp_path)], {"MetricName": "b", "Type": "Maximize"})
    assert f"{tmp_path}/output/train.log: the cause\n" in capsys.readouterr().err


def test_request_is_that_of_a_tuning_job(run: Run, reviews: Path) -> None:
    """Only what the account would give is another: image, role, bucket."""
    request = shown(run("tune", "--dry-run", "--local", reviews), "CreateHyperParameterTuningJob")
    channel = request["TrainingJobDefinition"]["InputDataConfig"][0]
    assert channel["DataSource"]["S3DataSource"]["S3Uri"] == reviews.as_uri()


def test_missing_program_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(local_tuning.sys, "executable", "/nowhere/python")  # type: ignore[attr-defined]
    monkeypatch.setattr(local_tuning, "ROOT", tmp_path)
    with pytest.raises(click.ClickException, match=r"train_local.sh makes .venv with it"):
        local_tuning.find_train()


def test_round_is_not_written_over_another(
    run: Run, reviews: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(local_tuning, "RESULTS", tmp_path)
    (tmp_path / "mine").mkdir()
    result = run("tune", "--local", reviews, "--name", "mine", code=1)
    assert "mine is there already; choose another --name" in result.stderr
