"""Logs from a simulated CloudWatch."""

import contextlib
import time
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from jobs import logs
from jobs.account import Account
from tests.jobs.conftest import REGION, Run, describe, training_job

JOBS = "/aws/sagemaker/TrainingJobs"


def write(group: str, stream: str, *messages: str) -> None:
    client = boto3.client("logs", REGION)
    for make, arguments in (
        (client.create_log_group, {"logGroupName": group}),
        (client.create_log_stream, {"logGroupName": group, "logStreamName": stream}),
    ):
        with contextlib.suppress(client.exceptions.ResourceAlreadyExistsException):
            make(**arguments)
    now = int(time.time() * 1000)
    events = [{"timestamp": now + i, "message": message} for i, message in enumerate(messages)]
    client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def test_log_lines_are_in_order(run: Run, trained: str) -> None:
    write(JOBS, f"{trained}/algo-1-1", "epoch=1;", "epoch=2;\n")
    assert run("logs", trained).stdout == "epoch=1;\nepoch=2;\n"


def test_log_lines_name_their_host(run: Run, trained: str) -> None:
    write(JOBS, f"{trained}/algo-1-1", "one")
    write(JOBS, f"{trained}/algo-2-1", "two")
    assert run("logs", trained).stdout == "[algo-1-1] one\n[algo-2-1] two\n"


def test_log_excludes_other_jobs(run: Run, trained: str) -> None:
    write(JOBS, f"{trained}0/algo-1-1", "of another job")
    assert run("logs", trained).stdout == ""


def test_log_covers_all_tuning_jobs(run: Run, uploaded: None) -> None:
    run("tune", "--name", "sentiment-t")
    write(JOBS, "sentiment-t-001-abc/algo-1-1", "first")
    write(JOBS, "sentiment-t-002-def/algo-1-1", "second")
    lines = run("logs", "sentiment-t").stdout.splitlines()
    assert lines == ["[001-abc/algo-1-1] first", "[002-def/algo-1-1] second"]


def test_endpoint_log_group(run: Run, trained: str) -> None:
    run("deploy", trained, "--name", "sentiment-e", "--yes")
    write("/aws/sagemaker/Endpoints/sentiment-e", "all/i-0123", "a request")
    assert run("logs", "sentiment-e", "--no-follow").stdout == "a request\n"


def test_log_is_followed_until_end(run: Run, sagemaker: Stubber, monkeypatch: pytest.MonkeyPatch) -> None:
    write(JOBS, "sentiment-1/algo-1-1", "epoch=1;")
    describe(sagemaker, training_job=training_job("InProgress"))
    for status in ("InProgress", "Completed"):
        sagemaker.add_response("describe_training_job", training_job(status))
    pauses: list[None] = []

    def pause(_seconds: float) -> None:
        pauses.append(None)
        write(JOBS, "sentiment-1/algo-1-1", f"epoch={len(pauses) + 1};")
        if len(pauses) == 2:  # a host whose first line comes last
            write(JOBS, "sentiment-1/algo-2-1", "late")

    monkeypatch.setattr("time.sleep", pause)
    lines = run("logs", "sentiment-1").stdout.splitlines()
    assert lines == ["epoch=1;", "[algo-1-1] epoch=2;", "[algo-1-1] epoch=3;", "[algo-2-1] late"]


def test_log_pages_are_read_once(trained: str) -> None:
    """The lines fill several pages."""
    for start in range(0, 25_000, 5_000):
        write(JOBS, f"{trained}/algo-1-1", *(f"line {start + i}" for i in range(5_000)))
    tokens: dict[str, str] = {}
    lines = list(logs.new_lines(Account("sentiment"), JOBS, f"{trained}/", tokens))
    assert sorted(lines, key=lambda line: int(line[5:])) == [f"line {i}" for i in range(25_000)]
    assert list(logs.new_lines(Account("sentiment"), JOBS, f"{trained}/", tokens)) == []


def test_unknown_name_is_an_error(run: Run) -> None:
    assert "no job or endpoint nothing" in run("logs", "nothing", code=1).stderr


def test_ctrl_c_warns_of_running_job(run: Run, sagemaker: Stubber, monkeypatch: pytest.MonkeyPatch) -> None:
    describe(sagemaker, training_job=training_job("InProgress"))
    sagemaker.add_response("describe_training_job", training_job("InProgress"))

    def interrupt(_seconds: float) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupt)
    result = run("logs", "sentiment-1", code=130)
    assert "is still running and incurs charges; to end it: python -m jobs stop sentiment-1" in result.stderr
