"""``train``: run a training job."""

from collections.abc import Mapping
from typing import Any

import click

from jobs import artifact, fallback, image, options, role, storage
from jobs.account import Account
from jobs.aws_request import Request, sagemaker, send_all
from jobs.resources import TRAINING
from jobs.security import security, vpc

MODES = ("File", "FastFile")
CHANNELS = ("training", "validation", "test", "unlabeled", "pretrained")


def definition(account: Account, values: Mapping[str, Any]) -> dict[str, Any]:
    """Request parameters that training jobs and tuning jobs share, from the values of ``job_options``.

    Raises:
        click.UsageError: the options contradict each other.
        click.ClickException: image, role or data do not exist.
    """
    minutes, wait_minutes = values["max_minutes"], values["max_wait_minutes"] if values["spot"] else None
    if wait_minutes and wait_minutes < minutes:
        raise click.UsageError("--max-wait-minutes includes the run; set at least --max-minutes")
    uris = {name: values[name] for name in CHANNELS if values[name]}
    required = "unlabeled" if values.get("pretrain") else "training"
    uris.setdefault(required, account.uri(required))
    uris = {name: storage.resolve(account, uri) for name, uri in uris.items()}
    return {
        "AlgorithmSpecification": {
            "TrainingImage": image.find(account, values["image"]),
            "TrainingInputMode": values["input_mode"],
            "MetricDefinitions": options.current_package().metric_definitions,
        },
        "RoleArn": role.find(account, values["role"]),
        "InputDataConfig": [_channel(name, uri, values["sharded"]) for name, uri in uris.items()],
        "OutputDataConfig": {"S3OutputPath": account.uri("models"), "KmsKeyId": values["kms_key"]},
        "StoppingCondition": {
            "MaxRuntimeInSeconds": 60 * minutes,
            "MaxWaitTimeInSeconds": 60 * wait_minutes if wait_minutes else None,
        },
        "EnableNetworkIsolation": values["network_isolation"],
        "EnableManagedSpotTraining": values["spot"],
        "VpcConfig": vpc(values),
    }


def _channel(name: str, uri: str, sharded: bool) -> dict[str, Any]:
    distribution = "ShardedByS3Key" if sharded and name == "training" else "FullyReplicated"
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": distribution}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def resources(types: list[str], values: Mapping[str, Any]) -> dict[str, Any]:
    """ResourceConfig: one instance type, or several in order of preference, which spot jobs cannot have."""
    several = len(types) > 1 and not values["spot"]
    return {
        "InstanceType": None if several else types[0],
        "InstancePreferences": [{"InstanceType": name} for name in types] if several else None,
        "InstanceCount": values["instance_count"],
        "VolumeSizeInGB": values["volume_gb"],
        "VolumeKmsKeyId": values["volume_kms_key"],
    }


job_options = options.several(
    options.s3_uri("--training", "Training data. Default: the data uploaded for this channel."),
    options.s3_uri("--validation", "Data to select the best epoch. Default: a tenth is held out."),
    options.s3_uri("--test", "Data to evaluate the model."),
    options.s3_uri("--unlabeled", "Data without labels, which pretraining reads too."),
    options.s3_uri("--pretrained", "Language model to start from: S3 folder of a job's model.tar.gz."),
    click.option(
        "--input-mode", type=click.Choice(MODES), default=MODES[0], help="FastFile streams from S3."
    ),
    click.option("--sharded", is_flag=True, help="Split the training files between the instances."),
    options.instance_types(fallback.DEFAULT_TYPES),
    options.instance_count,
    options.positive("--volume-gb", 30, "Disk size of an instance."),
    options.positive("--max-minutes", 60, "Stop the job after this time; it keeps its best model."),
    click.option("--spot", is_flag=True, help="Use spot instances: cheaper, but may be interrupted."),
    options.positive("--max-wait-minutes", 120, "With --spot: limit for waiting and running together."),
    options.image_and_role,
    security,
    options.tags,
    options.settings,
    options.wait,
    options.dry_run,
)


@click.command()
@options.with_account
@options.hyperparameters
@options.name
@job_options
@click.option("--pretrain", is_flag=True, help="Train a language model only, on the channel unlabeled.")
@options.s3_uri(
    "--checkpoints",
    "S3 folder of checkpoints; training resumes from the latest. Default with --spot: a new folder.",
)
@options.register
def train(account: Account, hyperparameters: dict[str, str], name: str, **values: Any) -> None:
    """Train a model on data in S3.

    For example: python -m jobs train epochs=3 hidden_dim=100 --spot
    """
    pretrain, group = values["pretrain"], values["register"]
    if group and not values["wait"]:
        raise click.UsageError("--register needs --wait: the model exists only after the job")
    if pretrain and (group or any(values[channel] for channel in CHANNELS if channel != "unlabeled")):
        raise click.UsageError("--pretrain trains no model and accepts no channel except --unlabeled")
    checkpoints = values["checkpoints"] or (account.uri("checkpoints", name) if values["spot"] else None)
    shared = definition(account, values)

    def make_request(name: str, tags: list[dict[str, str]], types: list[str]) -> Request:
        return sagemaker(
            "CreateTrainingJob",
            TrainingJobName=name,
            HyperParameters=hyperparameters,
            ResourceConfig=resources(types, values),
            **shared,
            CheckpointConfig={"S3Uri": checkpoints} if checkpoints else None,
            Tags=tags,
        )

    job = fallback.run(account, TRAINING, name, make_request, values)
    if job:
        if group:
            send_all(account, artifact.register(account, job, group, values["tags"]))
        click.echo(artifact.uri(job))
        folder = artifact.uri(job).removesuffix("model.tar.gz")
        command = f"train --pretrained {folder}" if pretrain else f"deploy {job['TrainingJobName']}"
        click.echo(f"next: python -m jobs {command}", err=True)
