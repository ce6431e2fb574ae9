"""Watching what runs until it is done; Ctrl-C asks before it leaves something that is paid for."""

import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

import click
from botocore.exceptions import BotoCoreError, ClientError
from tqdm import tqdm

from jobs import delete
from jobs.account import Account
from jobs.aws_request import send
from jobs.resources import BUSY, Resource, ResourceType

POLL_SECONDS = 10


def run(
    account: Account, type_: ResourceType, name: str, start: Callable[[], Any], *, watch: bool
) -> dict[str, Any] | None:
    """Start something, and watch it until it is done.

    Returns:
        Its description at the end; None if it is not watched.

    Raises:
        click.ClickException: it has failed, or was stopped.
        click.exceptions.Exit: Ctrl-C was pressed, and answered.
        botocore.exceptions.ClientError, BotoCoreError: AWS does not start it, or does not tell on.
    """
    try:
        start()
        click.echo(f"started; its log: python -m jobs logs {name}", err=True)
        return outcome(name, until_done(account, type_, name)) if watch else None
    except KeyboardInterrupt:
        leave(account, type_, name)
        raise click.exceptions.Exit(130) from None


def until_done(account: Account, type_: ResourceType, name: str) -> Resource:
    """Watch, with a line a phase, and on a terminal a clock and the latest figures."""
    shown = ""
    with tqdm(bar_format="{desc} {elapsed}", file=sys.stderr, leave=False, disable=None) as display:
        while True:
            try:
                description = type_.describe(account, name)
            except (BotoCoreError, ClientError):
                click.echo(type_.cost_warning(name), err=True)
                raise
            if description is None:
                raise click.ClickException(f"{type_.title} {name} does not exist any more")
            resource = Resource(type_, description)
            if (now := phase(resource)) != shown:
                shown = now
                tqdm.write(f"{time.strftime('%H:%M:%S')} {now}", file=sys.stderr)
            if resource.status not in BUSY:
                return resource
            display.set_description_str(" ".join([now, *figures(resource)]), refresh=False)
            _pause(display)


def _pause(display: "tqdm[NoReturn]") -> None:
    """Until SageMaker is asked again, with the clock running."""
    for _ in range(POLL_SECONDS):
        display.refresh()
        time.sleep(1)


def phase(resource: Resource) -> str:
    """What it is doing, in SageMaker's words."""
    name = str(resource.description.get("SecondaryStatus", resource.status))
    messages = [
        step.get("StatusMessage") for step in resource.description.get("SecondaryStatusTransitions", [])
    ]
    return f"{name}: {messages[-1]}" if messages and messages[-1] else name


def figures(resource: Resource) -> list[str]:
    """The latest figures of a training job, the counts and the best value of a tuning job."""
    counts = resource.description.get("TrainingJobStatusCounters", {})
    best = resource.description.get("BestTrainingJob", {}).get("FinalHyperParameterTuningJobObjectiveMetric")
    metrics = resource.description.get("FinalMetricDataList", []) + ([best] if best else [])
    return [
        *(f"{name}={count}" for name, count in counts.items() if count),
        *(f"{metric['MetricName']}={metric['Value']:.4f}" for metric in metrics),
    ]


def outcome(name: str, resource: Resource) -> dict[str, Any]:
    """The description of what has ended well.

    Raises:
        click.ClickException: it has not; tells why.
    """
    if resource.status in ("Completed", "InService"):
        return resource.description
    reason = resource.description.get("FailureReason") or phase(resource)
    remove = "" if resource.type.stops else f"; to remove it: python -m jobs delete {name}"
    raise click.ClickException(f"{resource.type.title} {name}: {resource.status}: {reason}{remove}")


def leave(account: Account, type_: ResourceType, name: str) -> None:
    """Ask whether to end what is being watched, and do so; never leave it running without a word."""
    click.echo(f"\n{type_.cost_warning(name)}", err=True)
    try:
        choice = click.Choice([type_.end, "leave"])
        answer = click.prompt(f"{type_.end.capitalize()} it, or leave it", type=choice, err=True)
        if answer == "leave":
            return
        if type_.stops:
            send(account, type_.stop(name))
        else:
            if type_.describe(account, name):
                click.echo("SageMaker deletes no endpoint that is still being made: waiting", err=True)
                until_done(account, type_, name)
            delete.remove(account, name)
        click.echo(f"SageMaker was told to {type_.end} it", err=True)
    except (click.Abort, KeyboardInterrupt):
        click.echo(f"left as it is; {type_.cost_warning(name)}", err=True)
    except ClientError as error:
        click.echo(f"it could not be ended ({error}); {type_.cost_warning(name)}", err=True)
