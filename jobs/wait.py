"""Watch a resource until it is done; Ctrl-C asks whether to end it."""

import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

import click
from botocore.exceptions import BotoCoreError, ClientError
from tqdm import tqdm

from jobs import delete
from jobs.account import Account
from jobs.aws_request import send, send_all
from jobs.resources import Resource, ResourceType

POLL_SECONDS = 10


class EndedError(click.ClickException):
    """A resource failed or was stopped."""

    def __init__(self, message: str, resource: Resource) -> None:
        super().__init__(message)
        self.resource = resource


def run(
    account: Account, type_: ResourceType, name: str, start: Callable[[], Any], *, watch: bool
) -> dict[str, Any] | None:
    """Start a resource and watch it until it is done.

    Returns:
        The final description; None without ``watch``.

    Raises:
        EndedError: it failed or was stopped.
        click.exceptions.Exit: Ctrl-C was pressed, and the question answered.
        botocore.exceptions.ClientError, BotoCoreError: AWS refuses a request or cannot be reached.
    """
    try:
        start()
        click.echo(f"started; to follow the log: python -m jobs logs {name}", err=True)
        return check_success(until_done(account, type_, name)) if watch else None
    except KeyboardInterrupt:
        offer_to_end(account, type_, name)
        raise click.exceptions.Exit(130) from None


def until_done(account: Account, type_: ResourceType, name: str) -> Resource:
    """Print a line per phase and, on a terminal, a clock and the latest metrics."""
    phase = ""
    with tqdm(bar_format="{desc} {elapsed}", file=sys.stderr, leave=False, disable=None) as display:
        while True:
            try:
                resource = type_.find(account, name)
            except (BotoCoreError, ClientError):
                click.echo(type_.cost_warning(name), err=True)
                raise
            if resource is None:
                raise click.ClickException(f"{type_.title} {name} no longer exists")
            if resource.phase != phase:
                phase = resource.phase
                tqdm.write(f"{time.strftime('%H:%M:%S')} {phase}", file=sys.stderr)
            if not resource.is_busy:
                return resource
            display.set_description_str(" ".join([phase, *resource.metrics]), refresh=False)
            _pause(display)


def _pause(display: "tqdm[NoReturn]") -> None:
    """Wait before SageMaker is polled again, with the clock running."""
    for _ in range(POLL_SECONDS):
        display.refresh()
        time.sleep(1)


def check_success(resource: Resource) -> dict[str, Any]:
    """The description of a resource that ended well.

    Raises:
        EndedError: it did not; gives the reason.
    """
    if resource.status in ("Completed", "InService"):
        return resource.description
    type_, name = resource.type, resource.name
    reason = resource.description.get("FailureReason") or resource.phase
    hint = "" if type_.can_stop else f"; to delete it: python -m jobs delete {name}"
    raise EndedError(f"{type_.title} {name}: {resource.status}: {reason}{hint}", resource)


def offer_to_end(account: Account, type_: ResourceType, name: str) -> None:
    """Ask whether to end a running resource, and do so; if it keeps running, warn of its cost."""
    warning, command = type_.cost_warning(name), type_.end_command
    click.echo(f"\n{warning}", err=True)
    try:
        choices = click.Choice([command, "leave"])
        if click.prompt(f"{command.capitalize()} it or leave it", type=choices, err=True) == "leave":
            return
        if type_.can_stop:
            send(account, type_.stop_request(name))
        else:
            if type_.find(account, name):
                click.echo("waiting: SageMaker cannot delete an endpoint while it is being created", err=True)
                until_done(account, type_, name)
            send_all(account, delete.requests(account, name))
        click.echo(f"{command} requested", err=True)
    except (click.Abort, KeyboardInterrupt):
        click.echo(f"left running; {warning}", err=True)
    except ClientError as error:
        click.echo(f"{command} failed ({error}); {warning}", err=True)
