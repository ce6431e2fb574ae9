"""``transform``: predict data in S3 with a batch transform job."""

from typing import Any

import click
from botocore.exceptions import ClientError

from byoc.serving.request import JSON_LINES
from jobs import artifact, delete, instances, options, storage, wait
from jobs.account import Account
from jobs.aws_request import sagemaker, send, show
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
@security
@options.tags
@options.wait
@options.dry_run
def transform(account: Account, job: str, name: str, **values: Any) -> None:
    """Predict data in S3 with the model of JOB.

    JOB is a training job, or a tuning job, whose best model is used. Prints the S3 URI of the predictions:
    for each input file, a file with the suffix .out and one line per input line.
    """
    source, target = values["input"] or account.uri(TO_PREDICT), account.uri("predictions", name)
    storage.check_not_empty(account, source)
    environment = {"SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": str(SECONDS)}
    model = artifact.create_model(name, artifact.find(account, job), environment, values)
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
        Tags=values["tags"],
    )
    if values["dry_run"]:
        return show([model, request])
    click.echo(f"{name}: {values['instance_count']} x {values['instance_type']}, until it is done", err=True)
    send(account, model)
    try:
        wait.run(account, TRANSFORM, name, lambda: send(account, request), watch=values["wait"])
    except (click.ClickException, ClientError):
        delete.undo(account, model)
        raise
    if values["wait"]:
        delete.undo(account, model)
    click.echo(target)
    return None
