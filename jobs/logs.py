"""``logs``: what CloudWatch has of a job or an endpoint, and what comes."""

import time
from collections.abc import Iterator

import click
from botocore.exceptions import ClientError

from jobs import options, resources
from jobs.account import Account
from jobs.resources import BUSY, Resource

POLL_SECONDS = 5


class Log:
    """All streams of a job or an endpoint: one for each host."""

    def __init__(self, account: Account, resource: Resource, name: str) -> None:
        self._client = account.client("logs")
        self._group = resource.type.log_group.format(name=name)
        self._prefix = resource.type.log_streams.format(name=name)
        self._tokens: dict[str, str | None] = {}

    def _streams(self) -> list[str]:
        """Names of the streams there are by now; none before the first line."""
        arguments = {"logGroupName": self._group}
        if self._prefix:
            arguments["logStreamNamePrefix"] = self._prefix
        pages = self._client.get_paginator("describe_log_streams").paginate(**arguments)
        try:
            return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            return []

    def _read(self, stream: str) -> Iterator[str]:
        while True:
            token = self._tokens.get(stream)
            arguments = {"nextToken": token} if token else {}
            answer = self._client.get_log_events(
                logGroupName=self._group, logStreamName=stream, startFromHead=True, **arguments
            )
            for event in answer["events"]:
                yield event["message"].rstrip("\n")
            self._tokens[stream] = answer["nextForwardToken"]
            if answer["nextForwardToken"] == token:  # CloudWatch's way to say that this is the end
                return

    def new_lines(self) -> Iterator[str]:
        """What has come since the last call; with several streams each line tells its own."""
        streams = self._streams()
        for stream in streams:
            label = f"[{stream.removeprefix(self._prefix)}] " if len(streams) > 1 else ""
            for line in self._read(stream):
                yield label + line


def pause(seconds: float) -> None:
    """Until CloudWatch is asked again."""
    time.sleep(seconds)


@click.command()
@options.with_account
@click.argument("name")
@click.option(
    "--follow/--no-follow", default=True, show_default=True, help="Whether to go on until the job has ended."
)
def logs(account: Account, name: str, follow: bool) -> None:
    """Print the log of a job or an endpoint, and follow it."""
    for resource in resources.find(account, name):
        log = Log(account, resource, name)
        try:
            while follow and _goes_on(account, resource, name):
                _print(log)
                pause(POLL_SECONDS)
            if follow and resource.status in BUSY:
                pause(POLL_SECONDS)  # the last lines arrive some seconds late
            _print(log)
        except KeyboardInterrupt:
            click.echo(resource.type.cost_warning(name), err=True)
            raise click.exceptions.Exit(130) from None


def _print(log: Log) -> None:
    for line in log.new_lines():
        click.echo(line)


def _goes_on(account: Account, resource: Resource, name: str) -> bool:
    """Whether more lines are to come: always, from an endpoint."""
    description = resource.type.describe(account, name)
    if description is None:
        return False
    return not resource.type.stops or resource.type.status(description) in BUSY
