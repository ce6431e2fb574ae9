"""Requests are validated without a connection."""

import json

import click
import pytest

from jobs.account import Account
from jobs.aws_request import Request, sagemaker, send, show
from jobs.validation import InvalidRequestError

PUT = Request("s3", "PutObject", {"Bucket": "mine", "Key": "a"})


def test_send_refuses_invalid_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """No service listens."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(InvalidRequestError):
        send(Account("sentiment", "us-east-1"), Request("sagemaker", "CreateTrainingJob", {}))


def test_show_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(click.exceptions.Exit):
        show([PUT])
    assert json.loads(capsys.readouterr().out) == [
        {"service": "s3", "operation": "PutObject", "parameters": {"Bucket": "mine", "Key": "a"}}
    ]


def test_show_prints_nothing_if_invalid(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InvalidRequestError):
        show([PUT, Request("s3", "PutObject", {})])
    assert capsys.readouterr().out == ""


def test_request_omits_unset_parameters() -> None:
    request = sagemaker("CreateModel", ModelName="a", VpcConfig=None, Tags=[{"Key": "a", "Value": None}])
    assert request.parameters == {"ModelName": "a", "Tags": [{"Key": "a"}]}
