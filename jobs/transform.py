"""``transform``: predict data in S3 with a batch transform job."""

from typing import Any

import click
from botocore.exceptions import BotoCoreError, ClientError

from byoc.serving.request import JSON_LINES
from jobs import artifact, delete, instances, options, overrides, storage, wait
from jobs.account import Account
from jobs.aws_request import Request, sagemaker, send
from jobs.resources import TRANSFORM
from jobs.security import security
from jobs.upload import TO_PREDICT

# SageMaker's default. The server's own timeout is shorter, for real-time endpoints.
SECONDS = 600


@click.command()
@options.with_account
@click.argument("job")
@options.name
@options.s3_uri("--input", f"JSON Lines. Default: the data uploaded with --channel {TO_PREDICT}.")
@options.instance_type("ml.m5.large")
@options.instance_count
@options.positive("--concurrency", 4, "Concurrent requests per instance; at least one per CPU core.")
@click.option("--join", is_flag=True, help="Write each input object with its prediction as SageMakerOutput.")
@security
@options.tags
@options.settings
@options.wait
@options.dry_run
def transform(account: Account, job: str, name: str, **values: Any) -> None:
    """Predict data in S3 with the model of JOB.

    JOB is a training job, or a tuning job, whose best model is used. Prints the S3 URI of the predictions:
    for each input file, a file with the suffix .out and one line per input line.
    """
    source, target = values["input"] or account.uri(TO_PREDICT), account.uri("predictions", name)
    source = storage.resolve(account, source)
    environment = {
        "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": str(SECONDS),
        # The container otherwise accepts as many as fit into its memory, and answers more with a 503.
        "SERVE_MAX_REQUESTS": str(values["concurrency"] + 1),
    }
    model = artifact.create_model(account, name, artifact.find(account, job), environment, values)
    # Many lines per HTTP request, one prediction per line.
    request = sagemaker(
        "CreateTransformJob",
        TransformJobName=name,
        ModelName=name,
        BatchStrategy="MultiRecord",
        MaxPayloadInMB=1,
        MaxConcurrentTransforms=values["concurrency"],
        ModelClientConfig={"InvocationsTimeoutInSeconds": SECONDS, "InvocationsMaxRetries": 3},
        TransformInput={
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": source}},
            "ContentType": JSON_LINES,
            "SplitType": "Line",
        },
        TransformOutput={
            "S3OutputPath": target,
            "Accept": JSON_LINES,
            "AssembleWith": "Line",
            "KmsKeyId": values["kms_key"],
        },
        TransformResources={
            "InstanceType": values["instance_type"],
            "InstanceCount": values["instance_count"],
            "TransformAmiVersion": instances.batch_ami(values["instance_type"]),
            "VolumeKmsKeyId": values["volume_kms_key"],
        },
        DataProcessing={"JoinSource": "Input"} if values["join"] else None,
        Tags=values["tags"],
    )
    if any(setting.partition("=")[0].endswith("MaxConcurrentTransforms") for setting in values["settings"]):
        raise click.UsageError("--set MaxConcurrentTransforms: use --concurrency, which fits the container")
    model, request = overrides.prepare([model, request], values)
    click.echo(f"{name}: {values['instance_count']} x {values['instance_type']}, until it is done", err=True)
    send(account, model)
    try:
        wait.run(account, TRANSFORM, name, lambda: send(account, request), watch=values["wait"])
    except (click.ClickException, BotoCoreError, ClientError):
        if _has_ended(account, name):
            _undo(account, model)
        raise
    click.echo(target)
    if values["wait"]:
        _undo(account, model)


def _undo(account: Account, model: Request) -> None:
    """Delete the model; a refusal must hide neither the end of the job nor its output."""
    try:
        delete.undo(account, model)
    except (BotoCoreError, ClientError) as error:
        command = f"python -m jobs delete {model.parameters['ModelName']}"
        click.echo(f"warning: the model is kept ({error}); to delete it: {command}", err=True)


def _has_ended(account: Account, name: str) -> bool:
    """Whether no job uses the model; false if SageMaker does not answer."""
    try:
        job = TRANSFORM.find(account, name)
    except (BotoCoreError, ClientError):
        return False
    return job is None or not job.is_busy
