"""Deleting an endpoint and what belongs to it."""

from typing import Any

import boto3
import pytest

from tests.jobs.conftest import REGION, Run, shown


@pytest.fixture
def deployed(run: Run, trained: str) -> str:
    """An endpoint."""
    run("deploy", trained, "--name", "sentiment-e", "--yes")
    return "sentiment-e"


def left() -> list[Any]:
    client = boto3.client("sagemaker", REGION)
    return [
        *client.list_endpoints()["Endpoints"],
        *client.list_endpoint_configs()["EndpointConfigs"],
        *client.list_models()["Models"],
    ]


def test_nothing_is_left(run: Run, deployed: str) -> None:
    assert len(left()) == 3
    run("delete", deployed, "--yes")
    assert left() == []


def test_it_asks_and_tells_what(run: Run, deployed: str) -> None:
    result = run("delete", deployed, answers="n\n", code=1)
    assert result.stderr.startswith(
        "DeleteEndpoint {'EndpointName': 'sentiment-e'}\n"
        "DeleteEndpointConfig {'EndpointConfigName': 'sentiment-e'}\n"
        "DeleteModel {'ModelName': 'sentiment-e'}\n"
    )
    assert len(left()) == 3


def test_dry_run_deletes_nothing(run: Run, deployed: str) -> None:
    result = run("delete", deployed, "--dry-run")
    assert shown(result, "DeleteEndpoint") == {"EndpointName": deployed}
    assert len(left()) == 3


@pytest.mark.parametrize("missing", ["endpoint", "endpoint_config", "model"])
def test_what_is_left_of_it_goes_as_well(run: Run, deployed: str, missing: str) -> None:
    client = boto3.client("sagemaker", REGION)
    shape = {"endpoint": "Endpoint", "endpoint_config": "EndpointConfig", "model": "Model"}[missing]
    getattr(client, f"delete_{missing}")(**{f"{shape}Name": deployed})
    run("delete", deployed, "--yes")
    assert left() == []


def test_model_of_another_name_goes_as_well(run: Run, trained: str) -> None:
    run("deploy", trained, "--name", "sentiment-e", "--yes")
    client = boto3.client("sagemaker", REGION)
    client.create_endpoint(EndpointName="mine", EndpointConfigName="sentiment-e")
    client.delete_endpoint(EndpointName="sentiment-e")
    run("delete", "mine", "--yes")
    assert left() == []


def test_unknown_name_is_told(run: Run) -> None:
    result = run("delete", "nothing", "--yes", code=1)
    assert "there is no endpoint nothing in us-east-1, nor a model of that name" in result.stderr
