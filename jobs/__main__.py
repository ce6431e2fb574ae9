"""``python -m jobs``: the command line, and its error messages."""

import re
from pathlib import Path
from typing import Any

import click
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from byoc.errors import UserError
from jobs import model_package
from jobs.build import build
from jobs.delete import delete
from jobs.deploy import deploy
from jobs.logs import logs
from jobs.model_package import ModelPackage
from jobs.status import status
from jobs.stop import stop
from jobs.train import train
from jobs.transform import transform
from jobs.tune import tune
from jobs.upload import upload

# In the name of botocore's exception, or in AWS's error code.
_CREDENTIALS = re.compile("AccessKeyId|AuthFailure|Credential|Profile|Signature|SSO|Token|UnrecognizedClient")


def explain(error: Exception) -> str:
    """The error's message, with a remedy for missing credentials and permissions."""
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
    if _CREDENTIALS.search(code or type(error).__name__):
        return f"No valid AWS credentials; run 'aws configure' or 'aws sso login' ({error})"
    if code.startswith("AccessDenied") or code == "403":
        return f"{error}\njobs/policies/user.json lists the required permissions"
    return str(error)


HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100, "show_default": True}


class Commands(click.Group):
    """A group that reports AWS errors and invalid input in one message."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Names in the usual order of use."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except (BotoCoreError, Boto3Error, ClientError, UserError) as error:
            raise click.ClickException(explain(error)) from error


@click.group(cls=Commands, context_settings=HELP)
@click.option(
    "--model",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    default=model_package.DEFAULT,
    help="Folder of the model package. Default: code/sentiment.",
)
@click.pass_context
def main(context: click.Context, model: Path) -> None:
    """Train and deploy a model package on Amazon SageMaker."""
    context.obj = ModelPackage(model)


for command in (build, upload, train, tune, deploy, transform, status, logs, stop, delete):
    main.add_command(command)

if __name__ == "__main__":
    main(prog_name="python -m jobs")
