"""``python -m jobs``: all commands, and how their errors are told."""

from typing import Any

import click
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, TokenRetrievalError

from byoc.errors import UserError
from jobs.delete import delete
from jobs.deploy import deploy
from jobs.logs import logs
from jobs.status import status
from jobs.stop import stop
from jobs.train import train
from jobs.transform import transform
from jobs.tune import tune
from jobs.upload import upload


def explain(error: Exception) -> str:
    """What happened and what to do."""
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
    if isinstance(error, NoCredentialsError | TokenRetrievalError) or code.startswith("ExpiredToken"):
        return f"AWS does not know you; run aws configure or aws sso login ({error})"
    if code.startswith("AccessDenied") or code == "403":
        return f"{error}\njobs/policies/user.json holds the permissions that are needed"
    return str(error)


class Commands(click.Group):
    """A group whose commands end with one message for whatever goes wrong outside of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """In the order in which they are needed."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except (BotoCoreError, Boto3Error, ClientError, UserError) as error:
            raise click.ClickException(explain(error)) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Train and serve the sentiment model on Amazon SageMaker."""


for command in (upload, train, tune, deploy, transform, status, logs, stop, delete):
    main.add_command(command)

if __name__ == "__main__":
    main(prog_name="python -m jobs")
