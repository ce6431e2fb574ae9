"""NAME=VALUE, checked before anything is sent."""

import click
import pytest

from byoc.errors import HyperparameterError
from jobs.hyperparameters import parse, with_defaults
from sentiment.hyperparameters import Hyperparameters
from tests.jobs.conftest import Call, Run


def test_values_stay_strings() -> None:
    assert parse(["epochs=3", "learning-rate=1e-3", "pooling=mean"]) == {
        "epochs": "3", "learning_rate": "1e-3", "pooling": "mean",
    }  # fmt: skip


def test_defaults_are_sent() -> None:
    assert with_defaults({"epochs": "3"}) == {"epochs": "3", "hidden_dim": "128"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["epochs"], "expected NAME=VALUE, found epochs"),
        (["=3"], "expected NAME=VALUE, found =3"),
        (["epochs=3", "epochs=4"], "epochs is given twice"),
        (["batch_size=3", "batch-size=4"], "batch_size is given twice"),
    ],
)
def test_what_is_no_assignment_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(click.UsageError, match=message):
        parse(arguments)


def test_every_fault_is_told() -> None:
    with pytest.raises(HyperparameterError, match=r"epochs: '0' is not .*\n.*poling: there is no such"):
        parse(["epochs=0", "poling=max"])


@pytest.mark.parametrize("command", ["train", "tune"])
def test_typo_costs_no_call(run: Run, calls: list[Call], command: str) -> None:
    assert "hyperparameter epoch: there is no such" in run(command, "epoch=3", code=1).stderr
    assert calls == []


def test_recipe_is_not_overridden_by_what_is_sent_with_it() -> None:
    sent = with_defaults(parse(["recipe=best"]))
    assert Hyperparameters.parse(sent) == Hyperparameters.parse({"recipe": "best"})
