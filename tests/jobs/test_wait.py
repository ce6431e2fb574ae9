"""Watching a resource, and Ctrl-C."""

from collections.abc import Iterator
from typing import Any

import click
import pytest
from botocore.stub import Stubber

from jobs import delete, wait
from jobs.account import Account
from jobs.aws_request import Request
from jobs.resources import ENDPOINT, Resource
from tests.jobs.conftest import Run, endpoint, training_job

pytestmark = pytest.mark.usefixtures("uploaded")
TRAIN = ["train", "--name", "sentiment-1"]
NAME = {"TrainingJobName": "sentiment-1"}


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[BaseException | None]:
    """Replace the pauses: each takes no time and raises the next exception of the list, if any."""
    exceptions: list[BaseException | None] = []

    def pause(_display: object) -> None:
        if exceptions and (exception := exceptions.pop(0)):
            raise exception

    monkeypatch.setattr(wait, "_pause", pause)
    return exceptions


@pytest.fixture
def running(sagemaker: Stubber) -> Iterator[Stubber]:
    """SageMaker with a training job that runs at the first poll."""
    sagemaker.add_response("create_training_job", {"TrainingJobArn": "a"})
    sagemaker.add_response("describe_training_job", training_job("InProgress"))
    return sagemaker  # type: ignore[return-value]


def test_phase_is_printed_once(run: Run, sagemaker: Stubber, pauses: list[Any]) -> None:
    assert pauses == []
    sagemaker.add_response("create_training_job", {"TrainingJobArn": "a"})
    steps = [{"Status": "Downloading", "StartTime": 0, "StatusMessage": "Downloading input data"}]
    for phase in ("Starting", "Downloading", "Downloading"):
        more = {"SecondaryStatus": phase, "SecondaryStatusTransitions": steps if phase != "Starting" else []}
        sagemaker.add_response("describe_training_job", training_job("InProgress", **more))
    sagemaker.add_response("describe_training_job", training_job("Completed"))
    lines = [line.split(" ", 1)[1] for line in run(*TRAIN).stderr.splitlines() if line[2:3] == ":"]
    assert lines == ["Starting", "Downloading: Downloading input data", "Completed"]


def test_stopped_job_is_an_error(run: Run, sagemaker: Stubber) -> None:
    sagemaker.add_response("create_training_job", {"TrainingJobArn": "a"})
    stopped = training_job("Stopped", SecondaryStatus="MaxRuntimeExceeded")
    sagemaker.add_response("describe_training_job", stopped)
    assert "training job sentiment-1: Stopped: MaxRuntimeExceeded" in run(*TRAIN, code=1).stderr


def test_ctrl_c_stops_after_question(run: Run, running: Stubber, pauses: list[Any]) -> None:
    pauses.append(KeyboardInterrupt())
    running.add_response("stop_training_job", {}, NAME)
    result = run(*TRAIN, answers="stop\n", code=130)
    assert (
        "sentiment-1 is still running and incurs charges; to end it: python -m jobs stop sentiment-1"
        in result.stderr
    )
    assert "stop requested" in result.stderr


def test_ctrl_c_leaves_after_question(run: Run, running: Stubber, pauses: list[Any]) -> None:
    assert running
    pauses.append(KeyboardInterrupt())
    result = run(*TRAIN, answers="leave\n", code=130)
    assert "python -m jobs stop sentiment-1" in result.stderr


def test_ctrl_c_repeats_the_question(run: Run, running: Stubber, pauses: list[Any]) -> None:
    pauses.append(KeyboardInterrupt())
    running.add_response("stop_training_job", {}, NAME)
    run(*TRAIN, answers="\nx\nstop\n", code=130)


def test_ctrl_c_without_answer_prints_warning(run: Run, running: Stubber, pauses: list[Any]) -> None:
    assert running
    pauses.append(KeyboardInterrupt())
    result = run(*TRAIN, code=130)
    assert "left running; training job sentiment-1 is still running" in result.stderr


def test_refused_stop_prints_warning(run: Run, running: Stubber, pauses: list[Any]) -> None:
    pauses.append(KeyboardInterrupt())
    running.add_client_error("stop_training_job", "ThrottlingException", "slower")
    result = run(*TRAIN, answers="stop\n", code=130)
    assert "stop failed" in result.stderr
    assert "python -m jobs stop sentiment-1" in result.stderr


def test_ctrl_c_deletes_endpoint_after_creation(
    sagemaker: Stubber, pauses: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    removed = []

    def requests(_account: Account, name: str) -> list[Request]:
        removed.append(name)
        return []

    monkeypatch.setattr(delete, "requests", requests)
    monkeypatch.setattr(click, "prompt", lambda *_, **__: "delete")
    for status in ("Creating", "Creating", "Creating", "InService"):
        sagemaker.add_response("describe_endpoint", endpoint(status))
    pauses.extend([KeyboardInterrupt(), None])
    with pytest.raises(click.exceptions.Exit):
        wait.run(Account("sentiment"), ENDPOINT, "sentiment-e", lambda: None, watch=True)
    assert removed == ["sentiment-e"]


def test_second_ctrl_c_leaves_endpoint(
    sagemaker: Stubber, pauses: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(click, "prompt", lambda *_, **__: "delete")
    for _ in range(3):
        sagemaker.add_response("describe_endpoint", endpoint("Creating"))
    pauses.extend([KeyboardInterrupt(), KeyboardInterrupt()])
    with pytest.raises(click.exceptions.Exit):
        wait.run(Account("sentiment"), ENDPOINT, "sentiment-e", lambda: None, watch=True)
    assert "left running; endpoint sentiment-e is still running" in capsys.readouterr().err


def test_vanished_job_is_an_error(run: Run, running: Stubber, pauses: list[Any]) -> None:
    assert pauses == []
    running.add_client_error("describe_training_job", "ResourceNotFound")
    assert "training job sentiment-1 no longer exists" in run(*TRAIN, code=1).stderr


def test_failed_poll_prints_cost_warning(run: Run, running: Stubber, pauses: list[Any]) -> None:
    assert pauses == []
    running.add_client_error("describe_training_job", "ExpiredTokenException", "expired")
    result = run(*TRAIN, code=1)
    assert "incurs charges; to end it: python -m jobs stop sentiment-1" in result.stderr
    assert "No valid AWS credentials" in result.stderr


def test_failed_endpoint_suggests_delete() -> None:
    with pytest.raises(click.ClickException, match="Failed: no ping; to delete it: python -m jobs delete e"):
        wait.check_success(Resource(ENDPOINT, "e", endpoint("Failed") | {"FailureReason": "no ping"}))
