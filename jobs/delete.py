"""``delete``: remove an endpoint with its configuration, its models and its scaling."""

import click

from jobs import options, scaling
from jobs.account import Account
from jobs.aws_request import Request, send, send_all, show
from jobs.resources import ENDPOINT, ResourceType

CONFIGURATION = ResourceType("endpoint configuration", "EndpointConfig")
MODEL = ResourceType("model", "Model")


def requests(account: Account, name: str) -> list[Request]:
    """Requests that delete an endpoint and its dependents, or the remains of an incomplete deletion."""
    requests: list[Request] = []
    configuration_name, model_names = name, [name]
    if endpoint := ENDPOINT.find(account, name):
        for variant in endpoint.description.get("ProductionVariants", []):
            requests += scaling.delete_requests(account, name, variant["VariantName"])
        requests.append(Request("sagemaker", "DeleteEndpoint", {"EndpointName": name}))
        configuration_name = endpoint.description["EndpointConfigName"]
    if configuration := CONFIGURATION.find(account, configuration_name):
        parameters = {"EndpointConfigName": configuration_name}
        requests.append(Request("sagemaker", "DeleteEndpointConfig", parameters))
        model_names = [variant["ModelName"] for variant in configuration.description["ProductionVariants"]]
    return requests + [
        Request("sagemaker", "DeleteModel", {"ModelName": model})
        for model in model_names
        if MODEL.find(account, model)
    ]


def undo(account: Account, request: Request) -> None:
    """Delete the resource that a ``Create`` request has just made."""
    shape = request.operation.removeprefix("Create")
    name = {f"{shape}Name": request.parameters[f"{shape}Name"]}
    send(account, Request(request.service, f"Delete{shape}", name))


def remove(account: Account, name: str) -> None:
    """Delete an endpoint and its dependents."""
    send_all(account, requests(account, name))


@click.command()
@options.with_account
@click.argument("name")
@options.yes
@options.dry_run
def delete(account: Account, name: str, yes: bool, dry_run: bool) -> None:
    """Delete endpoint NAME with its configuration, model and scaling.

    Jobs cannot be deleted and cost nothing once they have ended; their output in S3 is kept.
    """
    deletions = requests(account, name)
    if not deletions:
        raise click.ClickException(f"no endpoint or model {name} in {account.region}")
    if dry_run:
        return show(deletions)
    for request in deletions:
        click.echo(f"{request.operation} {request.parameters}", err=True)
    if not yes:
        click.confirm("Delete", abort=True, err=True)
    return send_all(account, deletions)
