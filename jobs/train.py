"""``train``: a training job."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import click

from jobs import ROOT, artifact, hyperparameters, image, options, package_group, role, storage, wait
from jobs.account import Account
from jobs.aws_request import Request, send, show
from jobs.resources import TRAINING
from jobs.security import SecurityOptions, with_security

METRICS = json.loads((ROOT / "jobs" / "metrics.json").read_text("utf-8"))


CHANNELS = ("training", "validation", "test", "unlabeled", "pretrained")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a training job and the jobs of a tuning job are told alike; most of it are options of the command.

    Attributes:
        channels: names and addresses of the reviews.
        models: where the models go, each below the name of its job.
        checkpoints: where the checkpoints go, None for nowhere.
    """

    image: str
    role: str
    channels: Mapping[str, str]
    models: str
    checkpoints: str | None = None
    instance_type: str = "ml.p3.2xlarge"
    instance_count: int = 1
    volume_gb: int = 30
    max_minutes: int = 60
    spot: bool = False
    max_wait_minutes: int = 120
    input_mode: str = "File"
    sharded: bool = False
    security: SecurityOptions = field(default_factory=SecurityOptions)


def algorithm(job: Job) -> dict[str, Any]:
    """The part of a request about the image."""
    return {
        "TrainingImage": job.image,
        "TrainingInputMode": job.input_mode,
        "MetricDefinitions": METRICS,
    }


def definition(job: Job) -> dict[str, Any]:
    """The part of a request that training jobs and tuning jobs have in common.

    Raises:
        click.UsageError: the options contradict each other.
    """
    stopping = {"MaxRuntimeInSeconds": 60 * job.max_minutes}
    if job.spot:
        if job.max_wait_minutes < job.max_minutes:
            raise click.UsageError("--max-wait-minutes includes the run: at least --max-minutes")
        stopping["MaxWaitTimeInSeconds"] = 60 * job.max_wait_minutes
    checkpoints = {"CheckpointConfig": {"S3Uri": job.checkpoints}} if job.checkpoints else {}
    return {
        "RoleArn": job.role,
        "InputDataConfig": [_channel(job, name, uri) for name, uri in job.channels.items()],
        "OutputDataConfig": {"S3OutputPath": job.models, **job.security.s3_key},
        "ResourceConfig": {
            "InstanceType": job.instance_type,
            "InstanceCount": job.instance_count,
            "VolumeSizeInGB": job.volume_gb,
            **job.security.volume_key(),
        },
        "StoppingCondition": stopping,
        "EnableNetworkIsolation": job.security.network_isolation,
        "EnableManagedSpotTraining": job.spot,
        **checkpoints,
        **job.security.vpc,
    }


def _channel(job: Job, name: str, uri: str) -> dict[str, Any]:
    sharded = job.sharded and name == "training"
    return {
        "ChannelName": name,
        "DataSource": {
            "S3DataSource": {
                "S3DataType": "S3Prefix",
                "S3Uri": uri,
                "S3DataDistributionType": "ShardedByS3Key" if sharded else "FullyReplicated",
            }
        },
    }


def request(name: str, job: Job, values: Mapping[str, str], tags: list[dict[str, str]]) -> Request:
    """What starts a training job."""
    parameters = {
        "TrainingJobName": name,
        "AlgorithmSpecification": algorithm(job),
        "HyperParameters": dict(values),
        **definition(job),
        "Tags": tags,
    }
    return Request("sagemaker", "CreateTrainingJob", parameters)


def find_job(account: Account, options_given: dict[str, Any]) -> Job:
    """The job of a command's options, with what was not given looked for.

    Raises:
        click.ClickException: image, role or reviews are not there.
    """
    given = dict(options_given)
    uris = {name: given.pop(name) for name in CHANNELS}
    channels = {name: uri for name, uri in uris.items() if uri}
    needed = "unlabeled" if given.pop("pretrain", False) else "training"
    channels.setdefault(needed, account.uri(needed))
    for uri in channels.values():
        storage.check_not_empty(account, uri)
    given["image"] = image.find(account, given["image"])
    given["role"] = role.find(account, given["role"])
    return Job(channels=channels, models=account.uri("models"), **given)


_DEFAULTS = {each.name: each.default for each in fields(Job)}


def _integer(option: str, text: str) -> Any:
    name = option.removeprefix("--").replace("-", "_")
    return click.option(option, type=click.IntRange(1), default=_DEFAULTS[name], show_default=True, help=text)


job_options = options.several(
    options.s3_uri("--training", "Reviews to train on. Default: those that upload has brought there."),
    options.s3_uri("--validation", "Reviews to choose the best epoch by. Default: a tenth is held out."),
    options.s3_uri("--test", "Reviews to measure the model on."),
    options.s3_uri("--unlabeled", "Reviews without labels, for word vectors and for recipe=best."),
    options.s3_uri("--pretrained", "Word vectors to begin with: where a job has left its model.tar.gz."),
    click.option(
        "--input-mode",
        type=click.Choice(["File", "FastFile"]),
        default="File",
        show_default=True,
        help="FastFile reads from S3 while it trains, instead of copying first.",
    ),
    click.option("--sharded", is_flag=True, help="Each instance gets its own share of the training files."),
    options.instance_type(str(_DEFAULTS["instance_type"])),
    options.instance_count,
    _integer("--volume-gb", "Disk of an instance."),
    _integer("--max-minutes", "The job is stopped then, and keeps its best model."),
    click.option("--spot", is_flag=True, help="Spot instances: cheaper, and may be interrupted."),
    _integer("--max-wait-minutes", "With --spot: for run and waiting together."),
    options.image_and_role,
    with_security,
)


@click.command()
@options.with_account
@click.argument("values", nargs=-1, metavar="[HYPERPARAMETER=VALUE]...")
@options.name
@job_options
@click.option(
    "--pretrain",
    is_flag=True,
    help="Make word vectors, and no model, of the reviews without labels that upload has brought there.",
)
@options.s3_uri(
    "--checkpoints",
    "Where checkpoints go; those of an earlier job are gone on from. Default with --spot: a new place.",
)
@click.option(
    "--register", metavar="GROUP", help="Afterwards register the model in this model package group."
)
@options.tags
@options.wait
@options.dry_run
def train(account: Account, values: tuple[str, ...], name: str, **others: Any) -> None:
    """Train on reviews in S3.

    For example: python -m jobs train epochs=3 hidden_dim=100 --spot
    """
    tags, watch, dry_run = others.pop("tags"), others.pop("wait"), others.pop("dry_run")
    group = others.pop("register")
    if group and not watch:
        raise click.UsageError("--register needs --wait: there is no model before the job is done")
    if others["pretrain"] and (group or any(others[name] for name in CHANNELS if name != "unlabeled")):
        raise click.UsageError("--pretrain makes no model, and takes no other reviews than --unlabeled")
    given = hyperparameters.parse(values)
    if others["spot"] and not others["checkpoints"]:
        others["checkpoints"] = account.uri("checkpoints", name)
    is_pretraining = others["pretrain"]
    job = find_job(account, others)
    start = request(name, job, hyperparameters.with_defaults(given), tags)
    if dry_run:
        return show([start])
    click.echo(
        f"{name}: {job.instance_count} x {job.instance_type}, for at most {job.max_minutes} minutes", err=True
    )
    description = wait.run(account, TRAINING, name, lambda: send(account, start), watch=watch)
    if description:
        trained = artifact.of(description)
        if group:
            package_group.register(account, trained, group, tags)
        click.echo(trained.uri)
        folder = trained.uri.rpartition("/")[0]
        then = f"train --pretrained {folder}" if is_pretraining else f"deploy {name}"
        click.echo(f"next: python -m jobs {then}", err=True)
    return None
