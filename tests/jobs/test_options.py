"""Arguments and options that several commands share."""

import pytest

from jobs.options import PROJECT_TAG
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
    assert "unknown hyperparameter 'poling'; did you mean 'pooling'?" in message
    assert calls == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tag", "team"], "expected KEY=VALUE, found team"),
        (["--name", "a_b"], "expected up to 63 letters, digits and single -"),
        (["--training", "mine/reviews"], "expected s3://BUCKET/FOLDER, found mine/reviews"),
        (["--instance-type", "p3.2xlarge"], "expected a name like ml.p3.2xlarge, found p3.2xlarge"),
        (["--instance-type", "ml.m6g.large"], "ml.m6g.large has an Arm processor"),
    ],
)
def test_malformed_option_is_refused(run: Run, arguments: list[str], message: str) -> None:
    assert message in run("train", *arguments, code=2).stderr


def test_long_tuning_job_name_is_refused(run: Run) -> None:
    assert "expected up to 32 letters" in run("tune", "--name", "a" * 33, code=2).stderr


@pytest.mark.usefixtures("uploaded")
def test_tags_follow_project_tag(run: Run) -> None:
    tags = shown(run("train", "--dry-run", "--tag", "team=film=1"), "CreateTrainingJob")["Tags"]
    assert tags == [PROJECT_TAG, {"Key": "team", "Value": "film=1"}]
