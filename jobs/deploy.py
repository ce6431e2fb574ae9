"""``deploy``: an endpoint, in real time, serverless or asynchronous."""

from dataclasses import dataclass, replace
from typing import Any

import click
from botocore.exceptions import ClientError

from byoc.serving.payload import CSV, JSON, JSON_LINES
from jobs import artifact, delete, instances, options, package_group, scaling, wait
from jobs.account import Account
from jobs.aws_request import Request, check, send, show
from jobs.resources import ENDPOINT
from jobs.scaling import Scaling
from jobs.security import SecurityOptions, with_security

MODES = ("real-time", "serverless", "asynchronous")
VARIANT = "all"
# SageMaker's default of the time that an asynchronous request may take, and the largest body it may have.
ASYNCHRONOUS_SECONDS = 900
ASYNCHRONOUS_MB = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an endpoint is to be; most of it are options of the command.

    Attributes:
        folder: where in S3 an endpoint of this name leaves answers and captured data.
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
        """Refuse what SageMaker does not offer for a serverless endpoint.

        Raises:
            click.UsageError: naming the option.
        """
        without = {
            "--max-instances": self.scaling,
            "--data-capture": self.data_capture,
            "--inference-ami": self.inference_ami,
            "--subnet": self.security.subnets,
            "--volume-kms-key": self.security.volume_kms_key,
        }
        if self.mode == "serverless" and (faults := [option for option, given in without.items() if given]):
            raise click.UsageError(f"a serverless endpoint cannot have {faults[0]}")

    def __str__(self) -> str:
        """What will be paid for."""
        if self.mode == "serverless":
            return (
                f"serverless, {self.memory_mb} MB, at most {self.max_concurrency} requests at a time; "
                "paid for by the request; without network isolation, which serverless endpoints do not have"
            )
        most = f", scaled up to {self.scaling.most}" if self.scaling else ""
        return f"{self.instance_count} x {self.instance_type}{most}; paid for from now on until it is deleted"


def environment(mode: str) -> dict[str, str]:
    """Variables for the model server; its defaults are made for real time."""
    if mode == "serverless":
        return {"SAGEMAKER_MODEL_SERVER_WORKERS": "1"}
    if mode == "asynchronous":
        return {
            "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": str(ASYNCHRONOUS_SECONDS),
            "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(ASYNCHRONOUS_MB),
        }
    return {}


def variant(name: str, plan: Plan) -> dict[str, Any]:
    """The part of a request about what an endpoint runs on."""
    served = {"VariantName": VARIANT, "ModelName": name}
    if plan.mode == "serverless":
        limits = {"MemorySizeInMB": plan.memory_mb, "MaxConcurrency": plan.max_concurrency}
        return served | {"ServerlessConfig": limits}
    ami = plan.inference_ami or instances.inference_ami(plan.instance_type)
    return (
        served
        | {"InstanceType": plan.instance_type, "InitialInstanceCount": plan.instance_count}
        | ({"InferenceAmiVersion": ami} if ami else {})
    )


def configuration(name: str, plan: Plan) -> Request:
    """What makes an endpoint's configuration."""
    parameters: dict[str, Any] = {
        "EndpointConfigName": name,
        "ProductionVariants": [variant(name, plan)],
        **plan.security.volume_key("KmsKeyId"),
        "Tags": plan.tags,
    }
    if plan.mode == "asynchronous":
        output = {"S3OutputPath": f"{plan.folder}/answers", **plan.security.s3_key}
        parameters["AsyncInferenceConfig"] = {"OutputConfig": output}
    if plan.data_capture:
        parameters["DataCaptureConfig"] = {
            "EnableCapture": True,
            "InitialSamplingPercentage": plan.data_capture,
            "DestinationS3Uri": f"{plan.folder}/captured",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {
                "CsvContentTypes": [CSV],
                "JsonContentTypes": [JSON, JSON_LINES],
            },
            **plan.security.s3_key,
        }
    return Request("sagemaker", "CreateEndpointConfig", parameters)


def requests(name: str, trained: artifact.Artifact, plan: Plan) -> list[Request]:
    """What makes an endpoint, in order: model, configuration, endpoint."""
    security = plan.security
    if plan.mode == "serverless":
        security = replace(security, network_isolation=False)
    endpoint = {"EndpointName": name, "EndpointConfigName": name, "Tags": plan.tags}
    return [
        artifact.request(name, trained, environment(plan.mode), security, plan.tags),
        configuration(name, plan),
        Request("sagemaker", "CreateEndpoint", endpoint),
    ]


def create(account: Account, making: list[Request]) -> None:
    """Send what makes an endpoint; if AWS refuses one of them, take back those before it.

    Raises:
        botocore.exceptions.ClientError: the refusal.
        botocore.exceptions.ParamValidationError: one cannot be sent; then none is.
    """
    made: list[Request] = []
    for request in making:
        check(request)
    for request in making:
        try:
            send(account, request)
        except ClientError:
            for before in reversed(made):
                delete.undo(account, before)
            raise
        made.append(request)


@click.command()
@options.with_account
@click.argument("job")
@options.name
@click.option("--mode", type=click.Choice(MODES), default=MODES[0], show_default=True)
@options.instance_type("ml.m5.large")
@options.instance_count
@click.option("--inference-ami", metavar="VERSION", help="Default for GPUs: one with a driver of CUDA 12.")
@click.option(
    "--memory-mb", type=click.IntRange(1024, 6144), default=4096, show_default=True, help="If serverless."
)
@click.option(
    "--max-concurrency", type=click.IntRange(1, 200), default=5, show_default=True, help="If serverless."
)
@scaling.with_scaling
@click.option(
    "--data-capture",
    type=click.IntRange(1, 100),
    metavar="PERCENT",
    help="Of requests and answers, kept in S3.",
)
@click.option("--register", metavar="GROUP", help="Register the model in this model package group, too.")
@with_security
@options.tags
@options.wait
@options.yes
@options.dry_run
def deploy(account: Account, job: str, name: str, **given: Any) -> None:
    """Serve the model of job JOB.

    JOB is a training job, or a tuning job, whose best is taken. Says what the endpoint will run on, and asks.
    """
    watch, yes, dry_run, group = (given.pop(option) for option in ("wait", "yes", "dry_run", "register"))
    plan = Plan(folder=account.uri("endpoints", name), **given)
    if plan.scaling and not watch:
        raise click.UsageError(
            "--max-instances needs --wait: an endpoint can be scaled once it is in service"
        )
    trained = artifact.find(account, job)
    making = requests(name, trained, plan)
    scaled = scaling.requests(name, VARIANT, plan.mode, plan.scaling) if plan.scaling else []
    registered = package_group.requests(account, trained, group, plan.tags) if group else []
    if dry_run:
        return show([*registered, *making, *scaled])
    if ENDPOINT.describe(account, name):
        raise click.ClickException(f"there is an endpoint {name}; delete it, or choose another --name")
    click.echo(f"{name}: {plan}", err=True)
    if not yes:
        click.confirm("Deploy", abort=True, err=True)
    for request in registered:
        send(account, request)
    wait.run(account, ENDPOINT, name, lambda: create(account, making), watch=watch)
    scaling.apply(account, scaled)
    click.echo(name)
    click.echo(f"when it is not needed any more: python -m jobs delete {name}", err=True)
    return None
