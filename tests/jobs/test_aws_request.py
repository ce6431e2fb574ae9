"""Requests are validated without a connection."""

import json

import pytest
from botocore.exceptions import ParamValidationError

from jobs.account import Account
from jobs.aws_request import Request, check, send, show

PUT = Request("s3", "PutObject", {"Bucket": "mine", "Key": "a"})


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        ({"TrainingJobName": "a"}, 'Missing required parameter in input: "RoleArn"'),
        ({"TrainingJobName": 7}, "Invalid type for parameter TrainingJobName"),
        ({"TrainingJobname": "a"}, 'Unknown parameter in input: "TrainingJobname"'),
    ],
)
def test_check_refuses_invalid_request(parameters: dict[str, object], fault: str) -> None:
    with pytest.raises(ParamValidationError, match=fault):
        check(Request("sagemaker", "CreateTrainingJob", parameters))


def test_send_refuses_invalid_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials exist, but no service listens."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(ParamValidationError):
        send(Account("sentiment", "us-east-1"), Request("sagemaker", "CreateTrainingJob", {}))


def test_show_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    show([PUT])
    assert json.loads(capsys.readouterr().out) == [
        {"service": "s3", "operation": "PutObject", "parameters": {"Bucket": "mine", "Key": "a"}}
    ]


def test_show_prints_nothing_if_invalid(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ParamValidationError):
        show([PUT, Request("s3", "PutObject", {})])
    assert capsys.readouterr().out == ""
