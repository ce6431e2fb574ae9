"""What can be measured is told before anything is."""

import argparse

import pytest

from benchmarks.quality_table import kept
from benchmarks.report import ROOT
from benchmarks.setting import checked, parse


def test_setting_is_hyperparameters() -> None:
    assert checked("recipe=best,epochs=2") == "recipe=best,epochs=2"
    assert parse("recipe=best,epochs=2") == {"recipe": "best", "epochs": "2"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs=2", "does not begin with recipe="),
        ("", "does not begin with recipe="),
        ("recipe=best,epochs", "expected name=value"),
        ("recipe=best,epoch=2", "there is no such hyperparameter"),
        ("recipe=worst", "one of default, seed, best"),
    ],
)
def test_what_is_none_is_told(text: str, message: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=message):
        checked(text)


def test_changes_are_settings() -> None:
    for line in (ROOT / "benchmarks" / "changes.txt").read_text("utf-8").splitlines():
        checked(line)


def test_changes_were_measured() -> None:
    measured = {run["setting"] for run in kept() if run["fold"] == 0}
    assert set((ROOT / "benchmarks" / "changes.txt").read_text("utf-8").splitlines()) <= measured
