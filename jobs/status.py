"""``status``: what there is, what is paid for, and how a job stands."""

from datetime import datetime
from typing import Any

import click
from botocore import xform_name

from jobs import options, resources
from jobs.account import Account
from jobs.resources import BUSY, RESOURCE_TYPES, Resource
from jobs.wait import figures, phase

NEWEST = 10


def newest(account: Account) -> list[tuple[datetime, str]]:
    """The newest of each type_ whose names begin as ours do, as (time, line), the oldest first."""
    lines = []
    for type_ in RESOURCE_TYPES:
        call = getattr(account.client("sagemaker"), f"list_{xform_name(type_.shape)}s")
        arguments = {"NameContains": options.PREFIX, "SortBy": "CreationTime", "SortOrder": "Descending"}
        answer = call(MaxResults=NEWEST, **arguments)
        for summary in answer.get(f"{type_.shape}Summaries") or answer.get("Endpoints", []):
            status = type_.status(summary)
            paid = "  paid for" if status in BUSY or status == "InService" else ""
            name = summary[f"{type_.shape}Name"]
            line = f"{summary['CreationTime']:%Y-%m-%d %H:%M}  {type_.title:13}  {name:32}  {status}{paid}"
            lines.append((summary["CreationTime"], line))
    return sorted(lines)


def facts(resource: Resource) -> list[tuple[str, Any]]:
    """What one is, as names and values; those that SageMaker does not tell are left out."""
    d = resource.description
    resources = d.get("ResourceConfig") or d.get("TransformResources") or {}
    variants = d.get("ProductionVariants", [])
    instances = f"{resources.get('InstanceCount')} x {resources.get('InstanceType')}" if resources else None
    facts = [
        ("status", phase(resource)),
        ("failure", d.get("FailureReason")),
        (
            "instances",
            instances or ", ".join(str(v.get("CurrentInstanceCount", "serverless")) for v in variants),
        ),
        ("created", d.get("CreationTime")),
        ("training seconds", d.get("TrainingTimeInSeconds")),
        ("seconds paid for", d.get("BillableTimeInSeconds")),
        ("figures", " ".join(figures(resource))),
        ("best job", d.get("BestTrainingJob", {}).get("TrainingJobName")),
        ("model", d.get("ModelArtifacts", {}).get("S3ModelArtifacts")),
        ("predictions", d.get("TransformOutput", {}).get("S3OutputPath")),
    ]
    return [(name, value) for name, value in facts if value]


@click.command()
@options.with_account
@click.argument("name", required=False)
def status(account: Account, name: str | None) -> None:
    """How the job or endpoint NAME stands.

    Without NAME, the newest of what is called "sentiment...", and what of it is paid for.
    """
    if name is None:
        for _, line in newest(account):
            click.echo(line)
        return
    for resource in resources.find(account, name):
        click.echo(f"{resource.type.title} {name}")
        for fact, value in facts(resource):
            click.echo(f"  {fact + ':':18}{value}")
