"""``delete``: remove an endpoint with its configuration, its models and its scaling."""

import click

from jobs import build, options, scaling
from jobs.account import Account
from jobs.aws_request import Request, sagemaker, send, send_all, show
from jobs.resources import ENDPOINT, ResourceType

CONFIGURATION = ResourceType("endpoint configuration", "EndpointConfig")
MODEL = ResourceType("model", "Model")


def requests(account: Account, name: str) -> list[Request]:
    """Requests that delete an endpoint and its dependents, or the remains of an incomplete deletion."""
    endpoint = ENDPOINT.find(account, name)
    if not endpoint:
        return configuration_requests(account, name)
    variants = endpoint.description.get("ProductionVariants", [])
    names = [scaling.backlog_alarm(name), errors_alarm(name)]
    alarms = account.client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"]
    alarm_names = {"AlarmNames": [alarm["AlarmName"] for alarm in alarms]}
    return [
        *(r for variant in variants for r in scaling.delete_requests(account, name, variant["VariantName"])),
        *([Request("cloudwatch", "DeleteAlarms", alarm_names)] if alarms else []),
        sagemaker("DeleteEndpoint", EndpointName=name),
        *configuration_requests(account, endpoint.description["EndpointConfigName"]),
    ]


def errors_alarm(endpoint: str) -> str:
    """Name of the alarm, and of its metric, on answers with status 500 or more."""
    return f"{endpoint}-errors"


def configuration_requests(account: Account, name: str) -> list[Request]:
    """Requests that delete an endpoint configuration and its models, or a model of this name."""
    requests, models = [], [name]
    if configuration := CONFIGURATION.find(account, name):
        requests = [sagemaker("DeleteEndpointConfig", EndpointConfigName=name)]
        models = [
            variant.get("ModelName", name) for variant in configuration.description["ProductionVariants"]
        ]
    return requests + [
        sagemaker("DeleteModel", ModelName=model) for model in models if MODEL.find(account, model)
    ]


def undo(account: Account, request: Request) -> None:
    """Delete the resource that a ``Create`` request has just made."""
    shape = request.operation.removeprefix("Create")
    name = {f"{shape}Name": request.parameters[f"{shape}Name"]}
    send(account, Request(request.service, f"Delete{shape}", name))


@click.command()
@options.with_account
@click.argument("name", required=False)
@click.option("--codebuild", is_flag=True, help="The CodeBuild project of build_and_push.sh, with its role.")
@options.yes
@options.dry_run
def delete(account: Account, name: str | None, codebuild: bool, yes: bool, dry_run: bool) -> None:
    """Delete endpoint NAME with its configuration, model and scaling, or the CodeBuild project.

    Jobs cannot be deleted and cost nothing once they have ended; their output in S3 is kept.
    """
    if bool(name) == codebuild:
        raise click.UsageError("name an endpoint, or use --codebuild")
    deletions = requests(account, name) if name else build.delete_requests(account)
    if not deletions:
        raise click.ClickException(f"no endpoint or model {name} in {account.region}")
    if dry_run:
        show(deletions)
    for request in deletions:
        click.echo(f"{request.operation} {request.parameters}", err=True)
    if not yes:
        click.confirm("Delete", abort=True, err=True)
    send_all(account, deletions)
