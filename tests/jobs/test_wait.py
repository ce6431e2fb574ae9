"""Watching, and Ctrl-C."""

from collections.abc import Iterator
from typing import Any

import click
import pytest
from botocore.stub import Stubber

from jobs import delete, wait
from jobs.account import Account
from jobs.resources import ENDPOINT, TRAINING, TUNING, Resource
from tests.jobs.conftest import Run, endpoint, training_job

pytestmark = pytest.mark.usefixtures("uploaded")
TRAIN = ["train", "--name", "sentiment-1"]
NAME = {"TrainingJobName": "sentiment-1"}


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[BaseException | None]:
    """What happens in the pauses, in turn: an exception, or nothing; nothing takes time."""
    happenings: list[BaseException | None] = []

    def pause(_display: object) -> None:
        if happenings and (exception := happenings.pop(0)):
            raise exception

    monkeypatch.setattr(wait, "_pause", pause)
    return happenings


@pytest.fixture
def running(sagemaker: Stubber) -> Iterator[Stubber]:
    """A training job that runs when it is looked at for the first time."""
    sagemaker.add_response("create_training_job", {"TrainingJobArn": "a"})
    sagemaker.add_response("describe_training_job", training_job("InProgress"))
    return sagemaker  # type: ignore[return-value]


def test_each_phase_is_told_once(run: Run, sagemaker: Stubber, pauses: list[Any]) -> None:
    assert pauses == []
    sagemaker.add_response("create_training_job", {"TrainingJobArn": "a"})
    steps = [{"Status": "Downloading", "StartTime": 0, "StatusMessage": "Downloading input data"}]
    for phase in ("Starting", "Downloading", "Downloading"):
        more = {"SecondaryStatus": phase, "SecondaryStatusTransitions": steps if phase != "Starting" else []}
        sagemaker.add_response("describe_training_job", training_job("InProgress", **more))
    sagemaker.add_response("describe_training_job", training_job("Completed"))
    lines = [line.split(" ", 1)[1] for line in run(*TRAIN).stderr.splitlines() if line[2:3] == ":"]
    assert lines == ["Starting", "Downloading: Downloading input data", "Completed"]


def test_figures_of_a_training_job() -> None:
    metrics = [{"MetricName": "validation_accuracy", "Value": 0.89084, "Timestamp": 0}]
    found = Resource(TRAINING, training_job("InProgress", FinalMetricDataList=metrics))
    assert wait.figures(found) == ["validation_accuracy=0.8908"]


def test_figures_of_a_tuning_job() -> None:
    best = {
        "FinalHyperParameterTuningJobObjectiveMetric": {"MetricName": "validation_accuracy", "Value": 0.9}
    }
    description = {
        "HyperParameterTuningJobStatus": "InProgress",
        "TrainingJobStatusCounters": {"Completed": 2, "InProgress": 1, "RetryableError": 0},
        "BestTrainingJob": best,
    }
    assert wait.figures(Resource(TUNING, description)) == [
        "Completed=2",
        "InProgress=1",
        "validation_accuracy=0.9000",
    ]


def test_stopped_job_is_no_success(run: Run, sagemaker: Stubber) -> None:
    sagemaker.add_response("create_training_job", {"TrainingJobArn": "a"})
    stopped = training_job("Stopped", SecondaryStatus="MaxRuntimeExceeded")
    sagemaker.add_response("describe_training_job", stopped)
    assert "training job sentiment-1: Stopped: MaxRuntimeExceeded" in run(*TRAIN, code=1).stderr


def test_ctrl_c_asks_and_stops(run: Run, running: Stubber, pauses: list[Any]) -> None:
    pauses.append(KeyboardInterrupt())
    running.add_response("stop_training_job", {}, NAME)
    result = run(*TRAIN, answers="stop\n", code=130)
    assert (
        "training job sentiment-1 goes on, and is paid for; to end it: python -m jobs stop sentiment-1"
        in result.stderr
    )
    assert "SageMaker was told to stop it" in result.stderr


def test_ctrl_c_asks_and_leaves(run: Run, running: Stubber, pauses: list[Any]) -> None:
    assert running
    pauses.append(KeyboardInterrupt())
    result = run(*TRAIN, answers="leave\n", code=130)
    assert "python -m jobs stop sentiment-1" in result.stderr


def test_ctrl_c_insists_on_an_answer(run: Run, running: Stubber, pauses: list[Any]) -> None:
    pauses.append(KeyboardInterrupt())
    running.add_response("stop_training_job", {}, NAME)
    run(*TRAIN, answers="\nwhat\nstop\n", code=130)


def test_ctrl_c_without_anybody_to_ask_tells(run: Run, running: Stubber, pauses: list[Any]) -> None:
    assert running
    pauses.append(KeyboardInterrupt())
    result = run(*TRAIN, code=130)
    assert "left as it is; training job sentiment-1 goes on" in result.stderr


def test_refused_stop_is_told(run: Run, running: Stubber, pauses: list[Any]) -> None:
    pauses.append(KeyboardInterrupt())
    running.add_client_error("stop_training_job", "ThrottlingException", "slower")
    result = run(*TRAIN, answers="stop\n", code=130)
    assert "it could not be ended" in result.stderr
    assert "python -m jobs stop sentiment-1" in result.stderr


def test_ctrl_c_while_an_endpoint_is_made_waits_to_delete_it(
    sagemaker: Stubber, pauses: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    removed = []
    monkeypatch.setattr(delete, "remove", lambda _, name: removed.append(name))
    monkeypatch.setattr(click, "prompt", lambda *_, **__: "delete")
    for status in ("Creating", "Creating", "Creating", "InService"):
        sagemaker.add_response("describe_endpoint", endpoint(status))
    pauses.extend([KeyboardInterrupt(), None])
    with pytest.raises(click.exceptions.Exit):
        wait.run(Account(), ENDPOINT, "sentiment-e", lambda: None, watch=True)
    assert removed == ["sentiment-e"]


def test_second_ctrl_c_leaves_it(
    sagemaker: Stubber, pauses: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(click, "prompt", lambda *_, **__: "delete")
    for _ in range(3):
        sagemaker.add_response("describe_endpoint", endpoint("Creating"))
    pauses.extend([KeyboardInterrupt(), KeyboardInterrupt()])
    with pytest.raises(click.exceptions.Exit):
        wait.run(Account(), ENDPOINT, "sentiment-e", lambda: None, watch=True)
    assert "left as it is; endpoint sentiment-e goes on" in capsys.readouterr().err


def test_job_that_vanishes_is_told(run: Run, running: Stubber, pauses: list[Any]) -> None:
    assert pauses == []
    running.add_client_error("describe_training_job", "ResourceNotFound")
    assert "training job sentiment-1 does not exist any more" in run(*TRAIN, code=1).stderr


def test_what_cannot_be_watched_any_more_is_told(run: Run, running: Stubber, pauses: list[Any]) -> None:
    assert pauses == []
    running.add_client_error("describe_training_job", "ExpiredTokenException", "expired")
    result = run(*TRAIN, code=1)
    assert "goes on, and is paid for; to end it: python -m jobs stop sentiment-1" in result.stderr
    assert "AWS does not know you" in result.stderr


def test_failed_endpoint_is_to_be_removed() -> None:
    with pytest.raises(click.ClickException, match="Failed: no ping; to remove it: python -m jobs delete e"):
        wait.outcome("e", Resource(ENDPOINT, endpoint("Failed") | {"FailureReason": "no ping"}))
