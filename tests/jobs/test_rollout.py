"""Updating an endpoint."""

import json
from typing import Any

import boto3
import pytest
from moto.sagemaker.models import sagemaker_backends
from moto.sagemaker.responses import SageMakerResponse

from tests.jobs.conftest import ACCOUNT, REGION, Run, shown

NAME = ["--name", "sentiment-e"]


def simulate(monkeypatch: pytest.MonkeyPatch, *, succeeds: bool) -> None:
    """Let moto update an endpoint, or roll the update back."""

    def update_endpoint(self: SageMakerResponse) -> str:
        name, configuration = self._get_param("EndpointName"), self._get_param("EndpointConfigName")
        backend: Any = sagemaker_backends[ACCOUNT][REGION]
        if succeeds:
            backend.endpoints[name].endpoint_config_name = configuration
        return json.dumps({"EndpointArn": backend.endpoints[name].arn})

    monkeypatch.setattr(SageMakerResponse, "update_endpoint", update_endpoint, raising=False)


@pytest.fixture
def deployed(run: Run, trained: str) -> str:
    """Name of the training job whose model an endpoint serves; the endpoint has a log."""
    run("deploy", trained, *NAME, "--yes")
    boto3.client("logs", REGION).create_log_group(logGroupName="/aws/sagemaker/Endpoints/sentiment-e")
    return trained


def names(kind: str) -> list[str]:
    client = boto3.client("sagemaker", REGION)
    entries: list[dict[str, Any]] = getattr(client, f"list_{kind}")()[
        {"models": "Models", "endpoint_configs": "EndpointConfigs"}[kind]
    ]
    return [entry["ModelName" if kind == "models" else "EndpointConfigName"] for entry in entries]


@pytest.mark.parametrize(
    ("policy", "member"), [("blue-green", "BlueGreenUpdatePolicy"), ("rolling", "RollingUpdatePolicy")]
)
def test_update_request(run: Run, deployed: str, policy: str, member: str) -> None:
    result = run("deploy", deployed, *NAME, "--update", policy, "--dry-run")
    update = shown(result, "UpdateEndpoint")
    assert update["EndpointConfigName"] == shown(result, "CreateEndpointConfig")["EndpointConfigName"]
    assert member in update["DeploymentConfig"]
    alarm = shown(result, "PutMetricAlarm")
    rollback = update["DeploymentConfig"]["AutoRollbackConfiguration"]
    assert rollback == {"Alarms": [{"AlarmName": alarm["AlarmName"]}]}


def test_alarm_counts_server_errors(run: Run, deployed: str) -> None:
    """The filter is that of docs/serving.md."""
    result = run("deploy", deployed, *NAME, "--update", "rolling", "--dry-run")
    metric = shown(result, "PutMetricFilter")
    assert metric["filterPattern"] == '{ $.source = "request" && $.status >= 500 }'
    alarm = shown(result, "PutMetricAlarm")
    (transformation,) = metric["metricTransformations"]
    assert alarm["MetricName"] == transformation["metricName"]
    assert alarm["Namespace"] == transformation["metricNamespace"]


def test_update_replaces_model(run: Run, deployed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch, succeeds=True)
    (previous,) = names("models")
    result = run("deploy", deployed, *NAME, "--yes", "--update", "blue-green")
    assert result.stdout == "sentiment-e\n"
    endpoint = boto3.client("sagemaker", REGION).describe_endpoint(EndpointName="sentiment-e")
    assert names("endpoint_configs") == [endpoint["EndpointConfigName"]]
    (model,) = names("models")
    assert model != previous


def test_rollback_deletes_new_model(run: Run, deployed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """SageMaker ends a rollback with the previous configuration."""
    simulate(monkeypatch, succeeds=False)
    result = run("deploy", deployed, *NAME, "--yes", "--update", "blue-green", code=1)
    assert "the new model answered with errors and was rolled back" in result.stderr
    assert names("endpoint_configs") == ["sentiment-e"]
    assert names("models") == ["sentiment-e"]


def test_ctrl_c_keeps_endpoint(run: Run, deployed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch, succeeds=True)

    def interrupt(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("jobs.wait.until_done", interrupt)
    result = run("deploy", deployed, *NAME, "--yes", "--update", "rolling", code=130)
    assert "the update continues; python -m jobs status sentiment-e shows it" in result.stderr
    assert boto3.client("sagemaker", REGION).list_endpoints()["Endpoints"] != []


def test_delete_removes_alarm(run: Run, deployed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch, succeeds=True)
    run("deploy", deployed, *NAME, "--yes", "--update", "rolling")
    run("delete", "sentiment-e", "--yes")
    assert boto3.client("cloudwatch", REGION).describe_alarms()["MetricAlarms"] == []
    assert names("models") == names("endpoint_configs") == []


def test_unknown_endpoint_is_not_updated(run: Run, trained: str) -> None:
    result = run("deploy", trained, *NAME, "--yes", "--update", "rolling", code=1)
    assert "no endpoint sentiment-e in us-east-1" in result.stderr


def test_serverless_endpoint_is_not_updated(run: Run) -> None:
    result = run("deploy", "a", "--mode", "serverless", "--update", "rolling", code=2)
    assert "serverless endpoints do not support --update" in result.stderr
