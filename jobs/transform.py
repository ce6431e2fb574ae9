"""``transform``: predictions for many reviews in S3, by a batch transform job."""

from dataclasses import dataclass
from typing import Any

import click
from botocore.exceptions import ClientError

from byoc.serving.payload import JSON_LINES
from jobs import artifact, delete, instances, options, storage, wait
from jobs.account import Account
from jobs.aws_request import Request, send, show
from jobs.resources import TRANSFORM
from jobs.security import SecurityOptions, with_security
from jobs.upload import TO_PREDICT

# SageMaker's default; the server's own is made for endpoints in real time.
SECONDS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What a transform job is told; most of it are options of the command."""

    source: str
    target: str
    instance_type: str
    instance_count: int
    concurrency: int
    security: SecurityOptions
    tags: list[dict[str, str]]


def request(name: str, batch: Batch) -> Request:
    """What starts a transform job: a review a line in, a prediction a line out, many lines a request."""
    ami = instances.batch_ami(batch.instance_type)
    parameters = {
        "TransformJobName": name,
        "ModelName": name,
        "BatchStrategy": "MultiRecord",
        "MaxPayloadInMB": 1,
        "MaxConcurrentTransforms": batch.concurrency,
        "ModelClientConfig": {"InvocationsTimeoutInSeconds": SECONDS, "InvocationsMaxRetries": 3},
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": batch.source}},
            "ContentType": JSON_LINES,
            "SplitType": "Line",
        },
        "TransformOutput": {
            "S3OutputPath": batch.target,
            "Accept": JSON_LINES,
            "AssembleWith": "Line",
            **batch.security.s3_key,
        },
        "TransformResources": {
            "InstanceType": batch.instance_type,
            "InstanceCount": batch.instance_count,
            **({"TransformAmiVersion": ami} if ami else {}),
            **batch.security.volume_key(),
        },
        "Tags": batch.tags,
    }
    return Request("sagemaker", "CreateTransformJob", parameters)


@click.command()
@options.with_account
@click.argument("job")
@options.name
@options.s3_uri("--input", f"JSON Lines. Default: what upload --channel {TO_PREDICT} has brought there.")
@options.instance_type("ml.m5.large")
@options.instance_count
@click.option(
    "--concurrency",
    type=click.IntRange(1, 100),
    default=4,
    show_default=True,
    help="Requests at a time to an instance; at least one for each of its cores.",
)
@with_security
@options.tags
@options.wait
@options.dry_run
def transform(account: Account, job: str, name: str, **given: Any) -> None:
    """Predict reviews in S3 with the model of job JOB.

    JOB is a training job, or a tuning job, whose best is taken. Prints the address of the predictions: a file
    for each of yours, with .out behind its name and a line a review.
    """
    dry_run, watch = given.pop("dry_run"), given.pop("wait")
    source = given.pop("input") or account.uri(TO_PREDICT)
    storage.check_not_empty(account, source)
    batch = Batch(source=source, target=account.uri("predictions", name), **given)
    environment = {"SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": str(SECONDS)}
    making = artifact.request(name, artifact.find(account, job), environment, batch.security, batch.tags)
    start = request(name, batch)
    if dry_run:
        return show([making, start])
    click.echo(f"{name}: {batch.instance_count} x {batch.instance_type}, until it is done", err=True)
    send(account, making)
    try:
        wait.run(account, TRANSFORM, name, lambda: send(account, start), watch=watch)
    except (click.ClickException, ClientError):
        delete.undo(account, making)
        raise
    if watch:
        delete.undo(account, making)
    click.echo(batch.target)
    return None
