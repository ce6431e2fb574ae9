"""``deploy``: create a real-time, serverless or asynchronous endpoint."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click
from botocore.exceptions import ClientError

from byoc.serving.request import CSV, JSON, JSON_LINES
from jobs import artifact, delete, instances, options, overrides, rollout, scaling, wait
from jobs.account import Account
from jobs.aws_request import Request, sagemaker, send, send_all
from jobs.resources import ENDPOINT
from jobs.security import security

MODES = ("real-time", "serverless", "asynchronous")
VARIANT = "all"
UPDATES = ("blue-green", "rolling")
# SageMaker's default timeout and maximum body of an asynchronous request, and as many texts of 100 bytes.
ASYNCHRONOUS = {
    "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": "900",
    "SAGEMAKER_MAX_PAYLOAD_IN_MB": "1000",
    "SERVE_MAX_TEXTS": "10000000",
}
NOT_SERVERLESS = ("max_instances", "data_capture", "inference_ami", "update", "subnets", "volume_kms_key")


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
            f"serverless, {values['memory_mb']} MB, at most {concurrency(values)} concurrent requests; "
            "billed per request; without network isolation, which serverless endpoints do not support"
        )
    limit = f", scaled up to {values['max_instances']}" if values["max_instances"] else ""
    return (
        f"{values['instance_count']} x {values['instance_type']}{limit}; billed from now until it is deleted"
    )


def concurrency(values: Mapping[str, Any]) -> int:
    """The number of requests at a time: of a serverless endpoint, or of an instance."""
    default = 5 if values["mode"] == "serverless" else instances.cpu_cores(values["instance_type"])
    return int(values["max_concurrency"] or default)


def environment(values: Mapping[str, Any]) -> dict[str, str]:
    """Variables of the container, whose defaults suit real-time endpoints."""
    if values["mode"] == "asynchronous":
        # The requests that SageMaker sends, and one more: the container answers others with a 503.
        return ASYNCHRONOUS | {"SERVE_MAX_REQUESTS": str(concurrency(values) + 1)}
    return {"SAGEMAKER_MODEL_SERVER_WORKERS": "1"} if values["mode"] == "serverless" else {}


def variant(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The production variant: model and hardware."""
    variant = {"VariantName": VARIANT, "ModelName": name}
    if values["mode"] == "serverless":
        limits = {"MemorySizeInMB": values["memory_mb"], "MaxConcurrency": concurrency(values)}
        return variant | {"ServerlessConfig": limits}
    ami = values["inference_ami"] or instances.inference_ami(values["instance_type"])
    instances.check_inference_ami(ami)
    return variant | {
        "InstanceType": values["instance_type"],
        "InitialInstanceCount": values["instance_count"],
        "InferenceAmiVersion": ami,
    }


def configuration(name: str, folder: str, values: Mapping[str, Any]) -> Request:
    """The request that creates the endpoint configuration; answers and captured data go to the S3 folder."""
    key, metrics = values["kms_key"], values["metrics"]
    answers = {
        "OutputConfig": {"S3OutputPath": f"{folder}answers/", "KmsKeyId": key},
        "ClientConfig": {"MaxConcurrentInvocationsPerInstance": concurrency(values)},
    }
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": values["data_capture"],
        "DestinationS3Uri": f"{folder}captured/",
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
        MetricsConfig=None if metrics is None else {"EnableDetailedObservability": metrics},
        Tags=values["tags"],
    )


def create(account: Account, requests: list[Request]) -> None:
    """Send the requests for an endpoint; if AWS refuses one, undo the previous requests.

    Raises:
        botocore.exceptions.ClientError: the refusal.
    """
    for index, request in enumerate(requests):
        try:
            send(account, request)
        except ClientError:
            for sent in reversed(requests[:index]):
                if sent.operation in ("CreateModel", "CreateEndpointConfig"):
                    delete.undo(account, sent)
            raise


@click.command()
@options.with_account
@click.argument("job")
@options.name
@click.option("--mode", type=click.Choice(MODES), default=MODES[0])
@options.instance_type("ml.m5.large")
@options.instance_count
@click.option("--inference-ami", metavar="VERSION", help="Default for GPUs: a driver for CUDA 12.")
@options.positive("--memory-mb", 4096, "Serverless only.")
@options.positive("--max-concurrency", None, "Default: 5 if serverless; the CPU cores if asynchronous.")
@scaling.scaling_options
@options.positive("--data-capture", None, "Percentage of requests and responses to store in S3.")
@click.option("--metrics/--no-metrics", default=None, help="Send GET /metrics to CloudWatch; default: yes.")
@click.option("--update", type=click.Choice(UPDATES), help="Replace the model of NAME; roll back on errors.")
@options.register
@security
@options.tags
@options.settings
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
    group, tags, update = values["register"], values["tags"], values["update"]
    # The new model and configuration of an endpoint need names of their own.
    version = f"{name[:48].rstrip('-')}-{datetime.now():%Y%m%d%H%M%S}" if update else name
    registration = artifact.register(account, trained, group, tags) if group else []
    endpoint = [
        artifact.create_model(account, version, trained, environment(values), values),
        configuration(version, account.uri("endpoints", name), values),
        *(
            rollout.requests(name, version, update)
            if update
            else [sagemaker("CreateEndpoint", EndpointName=name, EndpointConfigName=name, Tags=tags)]
        ),
    ]
    policies = scaling.requests(name, VARIANT, values)
    requests = overrides.prepare([*registration, *endpoint, *policies], values)
    existing = ENDPOINT.find(account, name)
    if existing and not update:
        raise click.ClickException(f"endpoint {name} exists; use --update or another --name, or delete it")
    if update and not existing:
        raise click.ClickException(f"no endpoint {name} in {account.region}; without --update it is created")
    click.echo(f"{name}: {capacity(values)}", err=True)
    if not values["yes"]:
        click.confirm("Deploy", abort=True, err=True)
    first, last = len(registration), len(registration) + len(endpoint)
    send_all(account, requests[:first])
    if existing:
        create(account, requests[first:last])
        if values["wait"]:
            rollout.finish(account, existing, version)
    else:
        wait.run(account, ENDPOINT, name, lambda: create(account, requests[first:last]), watch=values["wait"])
    scaling.apply(account, requests[last:])
    click.echo(name)
    click.echo(f"when you no longer need it: python -m jobs delete {name}", err=True)
