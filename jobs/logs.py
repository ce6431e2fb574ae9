"""``logs``: print and follow the CloudWatch log of a job or an endpoint."""

import time
from collections.abc import Iterator

import click
from botocore.exceptions import ClientError

from jobs import options, resources
from jobs.account import Account
from jobs.resources import Resource

POLL_SECONDS = 5


class Log:
    """All log streams of a job or an endpoint, one per host."""

    def __init__(self, account: Account, resource: Resource) -> None:
        self._client = account.client("logs")
        self._group = resource.type.log_group.format(name=resource.name)
        self._prefix = resource.type.log_prefix.format(name=resource.name)
        self._tokens: dict[str, str | None] = {}

    def _streams(self) -> list[str]:
        """Names of the existing streams; there are none before the first line."""
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
            page = self._client.get_log_events(
                logGroupName=self._group, logStreamName=stream, startFromHead=True, **arguments
            )
            for event in page["events"]:
                yield event["message"].rstrip("\n")
            self._tokens[stream] = page["nextForwardToken"]
            if page["nextForwardToken"] == token:  # CloudWatch repeats the token at the end
                return

    def new_lines(self) -> Iterator[str]:
        """Lines since the last call, prefixed with the stream if there are several."""
        streams = self._streams()
        for stream in streams:
            label = f"[{stream.removeprefix(self._prefix)}] " if len(streams) > 1 else ""
            for line in self._read(stream):
                yield label + line


def pause() -> None:
    """Wait before CloudWatch is polled again."""
    time.sleep(POLL_SECONDS)


@click.command()
@options.with_account
@click.argument("name")
@click.option("--follow/--no-follow", default=True, show_default=True, help="Follow until the job ends.")
def logs(account: Account, name: str, follow: bool) -> None:
    """Print the log of job or endpoint NAME and follow it."""
    for resource in resources.find(account, name):
        log = Log(account, resource)
        try:
            while follow and _is_running(account, resource):
                _print(log)
                pause()
            if follow and resource.is_busy:
                pause()  # the last lines arrive some seconds late
            _print(log)
        except KeyboardInterrupt:
            click.echo(resource.type.cost_warning(name), err=True)
            raise click.exceptions.Exit(130) from None


def _print(log: Log) -> None:
    for line in log.new_lines():
        click.echo(line)


def _is_running(account: Account, resource: Resource) -> bool:
    """Whether more lines may come; an endpoint never ends by itself."""
    current = resource.type.find(account, resource.name)
    return current is not None and (current.is_busy or not current.type.can_stop)
