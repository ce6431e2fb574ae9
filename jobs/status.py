"""``status``: what there is, what is paid for, and how a job stands."""

from datetime import datetime
from typing import Any

import click
from botocore import xform_name

from jobs import kinds, options
from jobs.account import Account
from jobs.kinds import BUSY, KINDS, Found
from jobs.wait import figures, phase

NEWEST = 10


def newest(account: Account) -> list[tuple[datetime, str]]:
    """The newest of each kind whose names begin as ours do, as (time, line), the oldest first."""
    lines = []
    for kind in KINDS:
        call = getattr(account.client("sagemaker"), f"list_{xform_name(kind.shape)}s")
        arguments = {"NameContains": options.PREFIX, "SortBy": "CreationTime", "SortOrder": "Descending"}
        answer = call(MaxResults=NEWEST, **arguments)
        for summary in answer.get(f"{kind.shape}Summaries") or answer.get("Endpoints", []):
            status = kind.status(summary)
            paid = "  paid for" if status in BUSY or status == "InService" else ""
            name = summary[f"{kind.shape}Name"]
            line = f"{summary['CreationTime']:%Y-%m-%d %H:%M}  {kind.title:13}  {name:32}  {status}{paid}"
            lines.append((summary["CreationTime"], line))
    return sorted(lines)


def facts(found: Found) -> list[tuple[str, Any]]:
    """What one is, as names and values; those that SageMaker does not tell are left out."""
    d = found.description
    resources = d.get("ResourceConfig") or d.get("TransformResources") or {}
    variants = d.get("ProductionVariants", [])
    instances = f"{resources.get('InstanceCount')} x {resources.get('InstanceType')}" if resources else None
    facts = [
        ("status", phase(found)),
        ("failure", d.get("FailureReason")),
        (
            "instances",
            instances or ", ".join(str(v.get("CurrentInstanceCount", "serverless")) for v in variants),
        ),
        ("created", d.get("CreationTime")),
        ("training seconds", d.get("TrainingTimeInSeconds")),
        ("seconds paid for", d.get("BillableTimeInSeconds")),
        ("figures", " ".join(figures(found))),
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
    for found in kinds.find(account, name):
        click.echo(f"{found.kind.title} {name}")
        for fact, value in facts(found):
            click.echo(f"  {fact + ':':18}{value}")
