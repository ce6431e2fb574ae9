"""``delete``: an endpoint with its configuration, its model and its scaling."""

import click

from jobs import options, scaling
from jobs.account import Account
from jobs.aws_request import Request, send, show
from jobs.resources import ENDPOINT, ResourceType

CONFIGURATION = ResourceType("endpoint configuration", "EndpointConfig", "", "")
MODEL = ResourceType("model", "Model", "", "")


def requests(account: Account, name: str) -> list[Request]:
    """What deletes an endpoint and what belongs to it, or what is left of them."""
    found: list[Request] = []
    endpoint = ENDPOINT.describe(account, name)
    if endpoint:
        for variant in endpoint.get("ProductionVariants", []):
            found += scaling.ending(account, name, variant["VariantName"])
        found.append(Request("sagemaker", "DeleteEndpoint", {"EndpointName": name}))
    configuration = endpoint["EndpointConfigName"] if endpoint else name
    models = [name]
    if described := CONFIGURATION.describe(account, configuration):
        found.append(Request("sagemaker", "DeleteEndpointConfig", {"EndpointConfigName": configuration}))
        models = [variant["ModelName"] for variant in described["ProductionVariants"]]
    return found + [
        Request("sagemaker", "DeleteModel", {"ModelName": each})
        for each in models
        if MODEL.describe(account, each)
    ]


def undo(account: Account, making: Request) -> None:
    """Delete what one request, sent just before, has made."""
    shape = making.operation.removeprefix("Create")
    name = {f"{shape}Name": making.parameters[f"{shape}Name"]}
    send(account, Request(making.service, f"Delete{shape}", name))


def remove(account: Account, name: str) -> None:
    """Delete all of it."""
    for request in requests(account, name):
        send(account, request)


@click.command()
@options.with_account
@click.argument("name")
@options.yes
@options.dry_run
def delete(account: Account, name: str, yes: bool, dry_run: bool) -> None:
    """Delete endpoint NAME and what belongs to it.

    That is its configuration, its model and its scaling. Jobs cannot be deleted, and cost nothing once they
    have ended; what they left in S3 stays.
    """
    deleting = requests(account, name)
    if not deleting:
        raise click.ClickException(
            f"there is no endpoint {name} in {account.region}, nor a model of that name"
        )
    if dry_run:
        return show(deleting)
    for request in deleting:
        click.echo(f"{request.operation} {request.parameters}", err=True)
    if not yes:
        click.confirm("Delete", abort=True, err=True)
    for request in deleting:
        send(account, request)
    return None
