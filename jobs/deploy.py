"""``deploy``: create a real-time, serverless or asynchronous endpoint."""

from collections.abc import Mapping
from typing import Any

import click
from botocore.exceptions import ClientError

from byoc.serving.request import CSV, JSON, JSON_LINES
from jobs import artifact, delete, instances, options, scaling, wait
from jobs.account import Account
from jobs.aws_request import Request, check, sagemaker, send, send_all, show
from jobs.resources import ENDPOINT
from jobs.security import security

MODES = ("real-time", "serverless", "asynchronous")
VARIANT = "all"
# Variables of the model server, whose defaults suit real-time endpoints. SageMaker's default timeout and
# maximum body of an asynchronous request are 900 seconds and 1 GB.
ENVIRONMENTS = {
    "real-time": {},
    "serverless": {"SAGEMAKER_MODEL_SERVER_WORKERS": "1"},
    "asynchronous": {
        "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": "900",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "1000",
    },
}
NOT_SERVERLESS = ("max_instances", "data_capture", "inference_ami", "subnets", "volume_kms_key")


def check_options(values: Mapping[str, Any]) -> None:
    """Refuse options that contradict each other.

    Raises:
        click.UsageError: names them.
    """
    scaling.check_options(values)
    for name in NOT_SERVERLESS:
        if values["mode"] == "serverless" and values[name]:
            option = name.removesuffix("s" if name == "subnets" else "").replace("_", "-")
            raise click.UsageError(f"serverless endpoints do not support --{option}")


def capacity(values: Mapping[str, Any]) -> str:
    """The billed capacity."""
    if values["mode"] == "serverless":
        return (
            f"serverless, {values['memory_mb']} MB, at most {values['max_concurrency']} concurrent requests; "
            "billed per request; without network isolation, which serverless endpoints do not support"
        )
    limit = f", scaled up to {values['max_instances']}" if values["max_instances"] else ""
    return (
        f"{values['instance_count']} x {values['instance_type']}{limit}; billed from now until it is deleted"
    )


def variant(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The production variant: model and hardware."""
    variant = {"VariantName": VARIANT, "ModelName": name}
    if values["mode"] == "serverless":
        limits = {"MemorySizeInMB": values["memory_mb"], "MaxConcurrency": values["max_concurrency"]}
        return variant | {"ServerlessConfig": limits}
    return variant | {
        "InstanceType": values["instance_type"],
        "InitialInstanceCount": values["instance_count"],
        "InferenceAmiVersion": values["inference_ami"] or instances.inference_ami(values["instance_type"]),
    }


def configuration(name: str, folder: str, values: Mapping[str, Any]) -> Request:
    """The request that creates the endpoint configuration; answers and captured data go to the S3 folder."""
    key = values["kms_key"]
    answers = {"OutputConfig": {"S3OutputPath": f"{folder}/answers", "KmsKeyId": key}}
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": values["data_capture"],
        "DestinationS3Uri": f"{folder}/captured",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"CsvContentTypes": [CSV], "JsonContentTypes": [JSON, JSON_LINES]},
        "KmsKeyId": key,
    }
    return sagemaker(
        "CreateEndpointConfig",
        EndpointConfigName=name,
        ProductionVariants=[variant(name, values)],
        KmsKeyId=values["volume_kms_key"],
        AsyncInferenceConfig=answers if values["mode"] == "asynchronous" else None,
        DataCaptureConfig=capture if values["data_capture"] else None,
        Tags=values["tags"],
    )


def create(account: Account, requests: list[Request]) -> None:
    """Send the requests for an endpoint; if AWS refuses one, undo the previous requests.

    Raises:
        botocore.exceptions.ClientError: the refusal.
        botocore.exceptions.ParamValidationError: a request is invalid; none is sent.
    """
    for request in requests:
        check(request)
    for index, request in enumerate(requests):
        try:
            send(account, request)
        except ClientError:
            for sent in reversed(requests[:index]):
                delete.undo(account, sent)
            raise


@click.command()
@options.with_account
@click.argument("job")
@options.name
@click.option("--mode", type=click.Choice(MODES), default=MODES[0], show_default=True)
@options.instance_type("ml.m5.large")
@options.instance_count
@click.option("--inference-ami", metavar="VERSION", help="Default for GPUs: a driver for CUDA 12.")
@options.positive("--memory-mb", 4096, "Serverless only.")
@options.positive("--max-concurrency", 5, "Serverless only.")
@scaling.scaling_options
@options.positive("--data-capture", None, "Percentage of requests and responses to store in S3.")
@options.register
@security
@options.tags
@options.wait
@options.yes
@options.dry_run
def deploy(account: Account, job: str, name: str, **values: Any) -> None:
    """Serve the model of JOB from an endpoint.

    JOB is a training job, or a tuning job, whose best model is used. Prints the billed capacity and asks for
    confirmation.
    """
    check_options(values)
    if values["mode"] == "serverless":
        values["network_isolation"] = False
    trained = artifact.find(account, job)
    endpoint = [
        artifact.create_model(name, trained, ENVIRONMENTS[values["mode"]], values),
        configuration(name, account.uri("endpoints", name), values),
        sagemaker("CreateEndpoint", EndpointName=name, EndpointConfigName=name, Tags=values["tags"]),
    ]
    group, tags = values["register"], values["tags"]
    registration = artifact.register(account, trained, group, tags) if group else []
    policies = scaling.requests(name, VARIANT, values)
    if values["dry_run"]:
        return show([*registration, *endpoint, *policies])
    if ENDPOINT.find(account, name):
        raise click.ClickException(f"endpoint {name} exists; delete it or choose another --name")
    click.echo(f"{name}: {capacity(values)}", err=True)
    if not values["yes"]:
        click.confirm("Deploy", abort=True, err=True)
    send_all(account, registration)
    wait.run(account, ENDPOINT, name, lambda: create(account, endpoint), watch=values["wait"])
    scaling.apply(account, policies)
    click.echo(name)
    click.echo(f"when you no longer need it: python -m jobs delete {name}", err=True)
    return None
