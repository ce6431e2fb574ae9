"""Deleting an endpoint and its dependents."""

from typing import Any

import boto3
import pytest

from tests.jobs.conftest import REGION, Run, shown


@pytest.fixture
def deployed(run: Run, trained: str) -> str:
    """Name of an endpoint."""
    run("deploy", trained, "--name", "sentiment-e", "--yes")
    return "sentiment-e"


def remaining() -> list[Any]:
    client = boto3.client("sagemaker", REGION)
    return [
        *client.list_endpoints()["Endpoints"],
        *client.list_endpoint_configs()["EndpointConfigs"],
        *client.list_models()["Models"],
    ]


def test_delete_removes_endpoint_and_dependents(run: Run, deployed: str) -> None:
    assert len(remaining()) == 3
    run("delete", deployed, "--yes")
    assert remaining() == []


def test_delete_lists_requests_and_asks(run: Run, deployed: str) -> None:
    result = run("delete", deployed, answers="n\n", code=1)
    assert result.stderr.startswith(
        "DeleteEndpoint {'EndpointName': 'sentiment-e'}\n"
        "DeleteEndpointConfig {'EndpointConfigName': 'sentiment-e'}\n"
        "DeleteModel {'ModelName': 'sentiment-e'}\n"
    )
    assert len(remaining()) == 3


def test_delete_dry_run_deletes_nothing(run: Run, deployed: str) -> None:
    result = run("delete", deployed, "--dry-run")
    assert shown(result, "DeleteEndpoint") == {"EndpointName": deployed}
    assert len(remaining()) == 3


@pytest.mark.parametrize("missing", ["endpoint", "endpoint_config", "model"])
def test_delete_finishes_partial_deletion(run: Run, deployed: str, missing: str) -> None:
    client = boto3.client("sagemaker", REGION)
    shape = {"endpoint": "Endpoint", "endpoint_config": "EndpointConfig", "model": "Model"}[missing]
    getattr(client, f"delete_{missing}")(**{f"{shape}Name": deployed})
    run("delete", deployed, "--yes")
    assert remaining() == []


def test_delete_removes_model_named_differently(run: Run, trained: str) -> None:
    run("deploy", trained, "--name", "sentiment-e", "--yes")
    client = boto3.client("sagemaker", REGION)
    client.create_endpoint(EndpointName="mine", EndpointConfigName="sentiment-e")
    client.delete_endpoint(EndpointName="sentiment-e")
    run("delete", "mine", "--yes")
    assert remaining() == []


def test_unknown_name_is_an_error(run: Run) -> None:
    result = run("delete", "nothing", "--yes", code=1)
    assert "no endpoint or model nothing in us-east-1" in result.stderr
