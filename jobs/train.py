"""``train``: run a training job."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click

from jobs import ROOT, image, options, package_group, role, storage, wait
from jobs.account import Account
from jobs.artifact import Artifact
from jobs.aws_request import Request, send, show
from jobs.resources import TRAINING
from jobs.security import SecurityOptions, with_security

METRICS = json.loads((ROOT / "jobs" / "metrics.json").read_text("utf-8"))
CHANNELS = ("training", "validation", "test", "unlabeled", "pretrained")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSettings:
    """Settings of a training job, or of every training job of a tuning job; mostly command-line options.

    Attributes:
        channels: names and S3 URIs.
        models: S3 folder of the models; SageMaker appends the name of the job.
        checkpoints: S3 folder, None for no checkpoints.
    """

    image: str
    role: str
    channels: Mapping[str, str]
    models: str
    checkpoints: str | None = None
    instance_type: str
    instance_count: int
    volume_gb: int
    max_minutes: int
    spot: bool
    max_wait_minutes: int
    input_mode: str
    sharded: bool
    security: SecurityOptions

    def __str__(self) -> str:
        """The part of the cost that is known in advance."""
        return f"{self.instance_count} x {self.instance_type}, for at most {self.max_minutes} minutes"


def definition(settings: JobSettings) -> dict[str, Any]:
    """Request parameters that training jobs and tuning jobs share.

    Raises:
        click.UsageError: the options contradict each other.
    """
    stopping = {"MaxRuntimeInSeconds": 60 * settings.max_minutes}
    if settings.spot:
        if settings.max_wait_minutes < settings.max_minutes:
            raise click.UsageError("--max-wait-minutes includes the run; set at least --max-minutes")
        stopping["MaxWaitTimeInSeconds"] = 60 * settings.max_wait_minutes
    checkpoints = {"CheckpointConfig": {"S3Uri": settings.checkpoints}} if settings.checkpoints else {}
    return {
        "AlgorithmSpecification": {
            "TrainingImage": settings.image,
            "TrainingInputMode": settings.input_mode,
            "MetricDefinitions": METRICS,
        },
        "RoleArn": settings.role,
        "InputDataConfig": [_channel(settings, name, uri) for name, uri in settings.channels.items()],
        "OutputDataConfig": {"S3OutputPath": settings.models, **settings.security.s3_key},
        "ResourceConfig": {
            "InstanceType": settings.instance_type,
            "InstanceCount": settings.instance_count,
            "VolumeSizeInGB": settings.volume_gb,
            **settings.security.volume_key(),
        },
        "StoppingCondition": stopping,
        "EnableNetworkIsolation": settings.security.network_isolation,
        "EnableManagedSpotTraining": settings.spot,
        **checkpoints,
        **settings.security.vpc,
    }


def _channel(settings: JobSettings, name: str, uri: str) -> dict[str, Any]:
    distribution = "ShardedByS3Key" if settings.sharded and name == "training" else "FullyReplicated"
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": distribution}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def resolve(account: Account, values: Mapping[str, Any]) -> JobSettings:
    """Settings from the values of ``job_options``, with image, role and channels looked up.

    Raises:
        click.ClickException: image, role or data do not exist.
    """
    settings = dict(values)
    uris = {name: settings.pop(name) for name in CHANNELS}
    channels = {name: uri for name, uri in uris.items() if uri}
    required = "unlabeled" if settings.pop("pretrain", False) else "training"
    channels.setdefault(required, account.uri(required))
    for uri in channels.values():
        storage.check_not_empty(account, uri)
    settings["image"] = image.find(account, settings["image"])
    settings["role"] = role.find(account, settings["role"])
    return JobSettings(channels=channels, models=account.uri("models"), **settings)


job_options = options.several(
    options.s3_uri("--training", "Training data. Default: the data uploaded for this channel."),
    options.s3_uri("--validation", "Data to select the best epoch. Default: a tenth is held out."),
    options.s3_uri("--test", "Data to evaluate the model."),
    options.s3_uri("--unlabeled", "Reviews without labels, for word vectors and for preset=best."),
    options.s3_uri("--pretrained", "Word vectors to start from: the S3 folder of a job's model.tar.gz."),
    click.option(
        "--input-mode",
        type=click.Choice(["File", "FastFile"]),
        default="File",
        show_default=True,
        help="FastFile streams from S3 during training instead of copying first.",
    ),
    click.option("--sharded", is_flag=True, help="Split the training files between the instances."),
    options.instance_type("ml.p3.2xlarge"),
    options.instance_count,
    options.positive("--volume-gb", 30, "Disk size of an instance."),
    options.positive("--max-minutes", 60, "Stop the job after this time; it keeps its best model."),
    click.option("--spot", is_flag=True, help="Use spot instances: cheaper, but may be interrupted."),
    options.positive("--max-wait-minutes", 120, "With --spot: limit for waiting and running together."),
    options.image_and_role,
    with_security,
)


@click.command()
@options.with_account
@options.hyperparameters
@options.name
@job_options
@click.option("--pretrain", is_flag=True, help="Train word vectors only, from the unlabeled channel.")
@options.s3_uri(
    "--checkpoints",
    "S3 folder of checkpoints; training resumes from the latest. Default with --spot: a new folder.",
)
@options.register
@options.tags
@options.wait
@options.dry_run
def train(account: Account, hyperparameters: dict[str, str], name: str, **values: Any) -> None:
    """Train a model on data in S3.

    For example: python -m jobs train epochs=3 hidden_dim=100 --spot
    """
    tags, watch, dry_run, group = (values.pop(option) for option in ("tags", "wait", "dry_run", "register"))
    pretrain = values["pretrain"]
    if group and not watch:
        raise click.UsageError("--register needs --wait: the model exists only after the job")
    if pretrain and (group or any(values[name] for name in CHANNELS if name != "unlabeled")):
        raise click.UsageError("--pretrain trains no model and accepts no channel except --unlabeled")
    if values["spot"] and not values["checkpoints"]:
        values["checkpoints"] = account.uri("checkpoints", name)
    settings = resolve(account, values)
    parameters = {
        "TrainingJobName": name,
        "HyperParameters": hyperparameters,
        **definition(settings),
        "Tags": tags,
    }
    request = Request("sagemaker", "CreateTrainingJob", parameters)
    if dry_run:
        return show([request])
    click.echo(f"{name}: {settings}", err=True)
    description = wait.run(account, TRAINING, name, lambda: send(account, request), watch=watch)
    if description:
        artifact = Artifact.from_description(description)
        if group:
            package_group.register(account, artifact, group, tags)
        click.echo(artifact.uri)
        folder = artifact.uri.rpartition("/")[0]
        command = f"train --pretrained {folder}" if pretrain else f"deploy {name}"
        click.echo(f"next: python -m jobs {command}", err=True)
    return None
