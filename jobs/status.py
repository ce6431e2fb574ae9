"""``status``: list jobs and endpoints, or describe one."""

from datetime import datetime
from typing import Any

import click
from botocore import xform_name

from jobs import options, resources
from jobs.account import Account
from jobs.resources import BUSY, RESOURCE_TYPES, Resource

NEWEST = 10


def newest(account: Account) -> list[tuple[datetime, str]]:
    """The newest resources of every type with our prefix in their names, as (time, line), oldest first."""
    rows = []
    for type_ in RESOURCE_TYPES:
        call = getattr(account.client("sagemaker"), f"list_{xform_name(type_.shape)}s")
        arguments = {"NameContains": account.prefix, "SortBy": "CreationTime", "SortOrder": "Descending"}
        page = call(MaxResults=NEWEST, **arguments)
        for entry in page.get(f"{type_.shape}Summaries") or page.get("Endpoints", []):
            created, name, status = entry["CreationTime"], entry[f"{type_.shape}Name"], type_.status(entry)
            charges = "  incurs charges" if status in BUSY or status == "InService" else ""
            row = f"{created:%Y-%m-%d %H:%M}  {type_.title:13}  {name:32}  {status}{charges}"
            rows.append((created, row))
    return sorted(rows)


def facts(resource: Resource) -> list[tuple[str, Any]]:
    """Names and values of the known properties of a resource."""
    description = resource.description
    hosts = description.get("ResourceConfig") or description.get("TransformResources") or {}
    preferences = [entry.get("InstanceType") for entry in hosts.get("InstancePreferences", [])]
    types = hosts.get("InstanceType") or " or ".join(preferences)
    instances = f"{hosts.get('InstanceCount')} x {types}" if hosts else None
    variants = description.get("ProductionVariants", [])
    counts = ", ".join(str(variant.get("CurrentInstanceCount", "serverless")) for variant in variants)
    facts = [
        ("status", resource.phase),
        ("failure", description.get("FailureReason")),
        ("instances", instances or counts),
        ("created", description.get("CreationTime")),
        ("training seconds", description.get("TrainingTimeInSeconds")),
        ("billable seconds", description.get("BillableTimeInSeconds")),
        ("metrics", " ".join(resource.metrics)),
        ("best job", description.get("BestTrainingJob", {}).get("TrainingJobName")),
        ("model", description.get("ModelArtifacts", {}).get("S3ModelArtifacts")),
        ("predictions", description.get("TransformOutput", {}).get("S3OutputPath")),
    ]
    return [(name, value) for name, value in facts if value]


@click.command()
@options.with_account
@click.argument("name", required=False)
def status(account: Account, name: str | None) -> None:
    """List the newest jobs and endpoints, or describe NAME.

    The list marks the resources that incur charges.
    """
    if name is None:
        for _, line in newest(account):
            click.echo(line)
        return
    for resource in resources.find(account, name):
        click.echo(f"{resource.type.title} {name}")
        for fact, value in facts(resource):
            click.echo(f"  {fact + ':':18}{value}")
