"""Error messages, and the list of commands."""

from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)
from botocore.stub import Stubber
from click.testing import CliRunner

from jobs import ROOT
from jobs.__main__ import explain, main
from tests.jobs.conftest import Run


def client_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "because"}}, "CreateTrainingJob")


def test_help_lists_commands_in_order() -> None:
    lines = CliRunner().invoke(main, ["--help"]).output.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in lines] == [
        "build", "upload", "train", "tune", "deploy", "transform", "status", "logs", "stop", "delete",
    ]  # fmt: skip


@pytest.mark.parametrize("command", main.commands)
def test_readme_lists_every_command(command: str) -> None:
    assert f"| `{command}" in (ROOT / "docs" / "sagemaker.md").read_text("utf-8")


@pytest.mark.parametrize("command", main.commands)
def test_every_command_has_help(command: str) -> None:
    result = CliRunner().invoke(main, [command, "--help"])
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: main {command}")


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (NoCredentialsError(), "No valid AWS credentials; run 'aws configure' or 'aws sso login'"),
        (TokenRetrievalError(provider="sso", error_msg="expired"), "No valid AWS credentials"),
        (PartialCredentialsError(provider="env", cred_var="secret"), "No valid AWS credentials"),
        (UnauthorizedSSOTokenError(), "No valid AWS credentials"),
        (ProfileNotFound(profile="mine"), "No valid AWS credentials"),
        (client_error("ExpiredTokenException"), "No valid AWS credentials"),
        (client_error("InvalidClientTokenId"), "No valid AWS credentials"),
        (client_error("UnrecognizedClientException"), "No valid AWS credentials"),
        (client_error("SignatureDoesNotMatch"), "No valid AWS credentials"),
        (client_error("InvalidAccessKeyId"), "No valid AWS credentials"),
        (client_error("AccessDeniedException"), "jobs/policies/user.json lists the required permissions"),
        (client_error("403"), "jobs/policies/user.json lists the required permissions"),
        (client_error("ResourceLimitExceeded"), "because"),
    ],
)
def test_explain_adds_remedy(error: Exception, remedy: str) -> None:
    assert remedy in explain(error)


def test_aws_error_prints_no_traceback(run: Run, uploaded: None, sagemaker: Stubber) -> None:
    sagemaker.add_client_error("create_training_job", "AccessDeniedException", "not for you")
    result: Any = run("train", code=1)
    assert "Error: An error occurred (AccessDeniedException)" in result.stderr
    assert "Traceback" not in result.output
