"""``deploy``: create a real-time, serverless or asynchronous endpoint."""

from dataclasses import dataclass, replace
from typing import Any

import click
from botocore.exceptions import ClientError

from byoc.serving.request import CSV, JSON, JSON_LINES
from jobs import artifact, delete, instances, options, package_group, scaling, wait
from jobs.account import Account
from jobs.artifact import Artifact
from jobs.aws_request import Request, check, send, send_all, show
from jobs.resources import ENDPOINT
from jobs.scaling import Scaling
from jobs.security import SecurityOptions, with_security

MODES = ("real-time", "serverless", "asynchronous")
VARIANT = "all"
# SageMaker's default timeout and maximum body of an asynchronous request.
ASYNCHRONOUS_SECONDS = 900
ASYNCHRONOUS_MB = 1000
# Variables of the model server, whose defaults suit real-time endpoints.
ENVIRONMENTS = {
    "real-time": {},
    "serverless": {"SAGEMAKER_MODEL_SERVER_WORKERS": "1"},
    "asynchronous": {
        "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": str(ASYNCHRONOUS_SECONDS),
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(ASYNCHRONOUS_MB),
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSettings:
    """Settings of an endpoint; mostly command-line options.

    Attributes:
        folder: S3 folder for asynchronous answers and captured data.
        scaling: None for a fixed number of instances.
    """

    mode: str
    folder: str
    instance_type: str
    instance_count: int
    inference_ami: str | None
    memory_mb: int
    max_concurrency: int
    data_capture: int | None
    scaling: Scaling | None
    security: SecurityOptions
    tags: list[dict[str, str]]

    def __post_init__(self) -> None:
        unsupported = {
            "--max-instances": self.scaling,
            "--data-capture": self.data_capture,
            "--inference-ami": self.inference_ami,
            "--subnet": self.security.subnets,
            "--volume-kms-key": self.security.volume_kms_key,
        }
        for option, value in unsupported.items():
            if self.mode == "serverless" and value:
                raise click.UsageError(f"serverless endpoints do not support {option}")

    def __str__(self) -> str:
        """The billed capacity."""
        if self.mode == "serverless":
            return (
                f"serverless, {self.memory_mb} MB, at most {self.max_concurrency} concurrent requests; "
                "billed per request; without network isolation, which serverless endpoints do not support"
            )
        limit = f", scaled up to {self.scaling.maximum}" if self.scaling else ""
        return f"{self.instance_count} x {self.instance_type}{limit}; billed from now until it is deleted"


def variant(name: str, settings: EndpointSettings) -> dict[str, Any]:
    """The production variant: model and hardware."""
    variant = {"VariantName": VARIANT, "ModelName": name}
    if settings.mode == "serverless":
        limits = {"MemorySizeInMB": settings.memory_mb, "MaxConcurrency": settings.max_concurrency}
        return variant | {"ServerlessConfig": limits}
    ami = settings.inference_ami or instances.inference_ami(settings.instance_type)
    return {
        **variant,
        "InstanceType": settings.instance_type,
        "InitialInstanceCount": settings.instance_count,
        **({"InferenceAmiVersion": ami} if ami else {}),
    }


def configuration(name: str, settings: EndpointSettings) -> Request:
    """The request that creates the endpoint configuration."""
    parameters: dict[str, Any] = {
        "EndpointConfigName": name,
        "ProductionVariants": [variant(name, settings)],
        **settings.security.volume_key("KmsKeyId"),
        "Tags": settings.tags,
    }
    if settings.mode == "asynchronous":
        output = {"S3OutputPath": f"{settings.folder}/answers", **settings.security.s3_key}
        parameters["AsyncInferenceConfig"] = {"OutputConfig": output}
    if settings.data_capture:
        parameters["DataCaptureConfig"] = {
            "EnableCapture": True,
            "InitialSamplingPercentage": settings.data_capture,
            "DestinationS3Uri": f"{settings.folder}/captured",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {"CsvContentTypes": [CSV], "JsonContentTypes": [JSON, JSON_LINES]},
            **settings.security.s3_key,
        }
    return Request("sagemaker", "CreateEndpointConfig", parameters)


def requests(name: str, model: Artifact, settings: EndpointSettings) -> list[Request]:
    """Requests that create an endpoint, in order: model, configuration, endpoint."""
    security = settings.security
    if settings.mode == "serverless":
        security = replace(security, network_isolation=False)
    endpoint = {"EndpointName": name, "EndpointConfigName": name, "Tags": settings.tags}
    return [
        artifact.create_model(name, model, ENVIRONMENTS[settings.mode], security, settings.tags),
        configuration(name, settings),
        Request("sagemaker", "CreateEndpoint", endpoint),
    ]


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
@click.option(
    "--memory-mb", type=click.IntRange(1024, 6144), default=4096, show_default=True, help="Serverless only."
)
@click.option(
    "--max-concurrency", type=click.IntRange(1, 200), default=5, show_default=True, help="Serverless only."
)
@scaling.with_scaling
@click.option(
    "--data-capture",
    type=click.IntRange(1, 100),
    metavar="PERCENT",
    help="Percentage of requests and responses to store in S3.",
)
@options.register
@with_security
@options.tags
@options.wait
@options.yes
@options.dry_run
def deploy(account: Account, job: str, name: str, **values: Any) -> None:
    """Serve the model of JOB from an endpoint.

    JOB is a training job, or a tuning job, whose best model is used. Prints the billed capacity and asks for
    confirmation.
    """
    watch, yes, dry_run, group = (values.pop(option) for option in ("wait", "yes", "dry_run", "register"))
    settings = EndpointSettings(folder=account.uri("endpoints", name), **values)
    if settings.scaling and not watch:
        raise click.UsageError("--max-instances needs --wait: only an endpoint in service can be scaled")
    model = artifact.find(account, job)
    endpoint = requests(name, model, settings)
    registration = package_group.requests(account, model, group, settings.tags) if group else []
    policies = scaling.requests(name, VARIANT, settings.mode, settings.scaling) if settings.scaling else []
    if dry_run:
        return show([*registration, *endpoint, *policies])
    if ENDPOINT.find(account, name):
        raise click.ClickException(f"endpoint {name} exists; delete it or choose another --name")
    click.echo(f"{name}: {settings}", err=True)
    if not yes:
        click.confirm("Deploy", abort=True, err=True)
    send_all(account, registration)
    wait.run(account, ENDPOINT, name, lambda: create(account, endpoint), watch=watch)
    scaling.apply(account, policies)
    click.echo(name)
    click.echo(f"when you no longer need it: python -m jobs delete {name}", err=True)
    return None
