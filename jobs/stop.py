"""``stop``: end a job early."""

import click

from jobs import options, resources
from jobs.account import Account
from jobs.aws_request import send_all, show


@click.command()
@options.with_account
@click.argument("name")
@options.dry_run
def stop(account: Account, name: str, dry_run: bool) -> None:
    """Stop job NAME.

    A training job first saves its best model, which takes up to two minutes.
    """
    matches = resources.find(account, name)
    requests = [match.type.stop_request(name) for match in matches if match.type.can_stop and match.is_busy]
    if not requests:
        states = ", ".join(f"{match.type.title} {name} is {match.status}" for match in matches)
        has_endpoint = not all(match.type.can_stop for match in matches)
        hint = f"; to delete the endpoint: python -m jobs delete {name}" if has_endpoint else ""
        raise click.ClickException(states + hint)
    if dry_run:
        show(requests)
    send_all(account, requests)
    click.echo(f"stopping; to see when it has stopped: python -m jobs status {name}", err=True)
