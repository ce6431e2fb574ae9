"""``logs``: print and follow the CloudWatch log of a job or an endpoint."""

import time
from collections.abc import Iterator

import click

from jobs import options, resources
from jobs.account import Account
from jobs.resources import Resource

POLL_SECONDS = 5


def new_lines(account: Account, group: str, prefix: str, tokens: dict[str, str]) -> Iterator[str]:
    """Lines since the last call of streams with a prefix; with several streams, lines name theirs.

    ``tokens`` holds the position in each stream and is updated; it is empty for the beginning.
    """
    client = account.client("logs")
    selection = {"logStreamNamePrefix": prefix} if prefix else {}
    pages = client.get_paginator("describe_log_streams").paginate(logGroupName=group, **selection)
    try:
        streams = [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
    except client.exceptions.ResourceNotFoundException:  # before the first line
        return
    for stream in streams:
        label = f"[{stream.removeprefix(prefix)}] " if len(streams) > 1 else ""
        token = None
        while token is None or token != tokens[stream]:  # CloudWatch repeats the token at the end
            token = tokens.get(stream, "")
            position = {"nextToken": token} if token else {}
            page = client.get_log_events(
                logGroupName=group, logStreamName=stream, startFromHead=True, **position
            )
            for event in page["events"]:
                yield label + event["message"].rstrip("\n")
            tokens[stream] = page["nextForwardToken"]


@click.command()
@options.with_account
@click.argument("name")
@click.option("--follow/--no-follow", default=True, help="Follow until the job ends.")
def logs(account: Account, name: str, follow: bool) -> None:
    """Print the log of job or endpoint NAME and follow it."""
    for resource in resources.find(account, name):
        tokens: dict[str, str] = {}
        try:
            while follow and _is_running(account, resource):
                _print(account, resource, tokens)
                time.sleep(POLL_SECONDS)
            if follow and resource.is_busy:
                time.sleep(POLL_SECONDS)  # the last lines arrive some seconds late
            _print(account, resource, tokens)
        except KeyboardInterrupt:
            click.echo(resource.type.cost_warning(name), err=True)
            raise click.exceptions.Exit(130) from None


def _print(account: Account, resource: Resource, tokens: dict[str, str]) -> None:
    group, prefix = (text.format(name=resource.name) for text in resource.type[2:])
    for line in new_lines(account, group, prefix, tokens):
        click.echo(line)


def _is_running(account: Account, resource: Resource) -> bool:
    """Whether more lines may come; an endpoint never ends by itself."""
    current = resource.type.find(account, resource.name)
    return current is not None and (current.is_busy or not current.type.can_stop)
