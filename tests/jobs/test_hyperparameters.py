"""HYPERPARAMETER=VALUE arguments, checked before any AWS call."""

import pytest

from tests.jobs.conftest import Call, Run, shown


@pytest.mark.usefixtures("uploaded")
def test_hyperparameters_stay_strings(run: Run) -> None:
    result = run("train", "--dry-run", "epochs=3", "learning-rate=1e-3", "pooling=mean")
    assert shown(result, "CreateTrainingJob")["HyperParameters"] == {
        "epochs": "3", "learning_rate": "1e-3", "pooling": "mean",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["epochs"], "expected NAME=VALUE, for example epochs=3; found epochs"),
        (["=3"], "expected NAME=VALUE, for example epochs=3; found =3"),
        (["epochs=3", "epochs=4"], "epochs is set twice"),
        (["batch_size=3", "batch-size=4"], "batch_size is set twice"),
    ],
)
def test_malformed_hyperparameter_is_refused(run: Run, arguments: list[str], message: str) -> None:
    assert message in run("train", *arguments, code=2).stderr


@pytest.mark.parametrize("command", ["train", "tune"])
def test_invalid_hyperparameters_make_no_call(run: Run, calls: list[Call], command: str) -> None:
    message = run(command, "epochs=0", "poling=max", code=1).stderr
    assert "epochs: '0' is not" in message
    assert "poling: there is no such hyperparameter" in message
    assert calls == []
