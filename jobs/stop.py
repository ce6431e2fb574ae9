"""``stop``: a job before its end."""

import click

from jobs import options, resources
from jobs.account import Account
from jobs.aws_request import send, show
from jobs.resources import BUSY


@click.command()
@options.with_account
@click.argument("name")
@options.dry_run
def stop(account: Account, name: str, dry_run: bool) -> None:
    """Stop the job NAME.

    A training job saves its best model first: that takes up to two minutes.
    """
    found = resources.find(account, name)
    stopping = [each.type.stop(name) for each in found if each.type.stops and each.status in BUSY]
    if not stopping:
        ended = ", ".join(f"{each.type.title} {name} is {each.status}" for each in found)
        hint = (
            ""
            if all(each.type.stops for each in found)
            else f"; an endpoint is deleted: python -m jobs delete {name}"
        )
        raise click.ClickException(ended + hint)
    if dry_run:
        return show(stopping)
    for request in stopping:
        send(account, request)
    click.echo(f"stopping; to see when it has stopped: python -m jobs status {name}", err=True)
    return None
