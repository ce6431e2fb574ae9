"""Run specifications of the accuracy benchmark."""

import argparse

import pytest

from benchmarks.accuracy.run_spec import parse_run_spec, run_spec
from benchmarks.accuracy.tables import load_runs
from benchmarks.harness import ROOT

CHANGES = (ROOT / "benchmarks" / "accuracy" / "changes.txt").read_text("utf-8").splitlines()


def test_run_spec_is_hyperparameters() -> None:
    assert run_spec("preset=best,epochs=2") == "preset=best,epochs=2"
    assert parse_run_spec("preset=best,epochs=2") == {"preset": "best", "epochs": "2"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs=2", "does not begin with preset="),
        ("", "does not begin with preset="),
        ("preset=best,epochs", "epochs"),
        ("preset=best,epoch=2", "unknown hyperparameter"),
        ("preset=worst", "one of default, baseline, best"),
    ],
)
def test_invalid_run_spec_is_rejected(text: str, message: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=message):
        run_spec(text)


@pytest.mark.parametrize("line", CHANGES)
def test_changes_are_valid(line: str) -> None:
    run_spec(line)


def test_changes_were_measured() -> None:
    assert set(CHANGES) <= {run["run_spec"] for run in load_runs() if run["fold"] == 0}
