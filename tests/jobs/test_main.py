"""Errors that come from outside, and the list of commands."""

import re
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError, TokenRetrievalError
from botocore.stub import Stubber
from click.testing import CliRunner

from jobs import ROOT
from jobs.__main__ import explain, main
from tests.jobs.conftest import Run


def client_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "because"}}, "CreateTrainingJob")


def test_commands_come_in_the_order_in_which_they_are_needed() -> None:
    lines = CliRunner().invoke(main, ["--help"]).output.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in lines] == [
        "upload", "train", "tune", "deploy", "transform", "status", "logs", "stop", "delete",
    ]  # fmt: skip


@pytest.mark.parametrize("command", main.commands)
def test_readme_tells_of_every_command(command: str) -> None:
    assert f"| `{command}" in (ROOT / "README.md").read_text("utf-8")


def test_local_tests_environment_is_enough_to_run_it() -> None:
    """What jobs/ needs is there with the image's packages, in the same versions."""
    own, images = (
        set(re.findall(r"^\S+==.+", (ROOT / name / "requirements.txt").read_text(), re.M))
        for name in ("jobs", "container")
    )
    assert own
    assert own <= images


@pytest.mark.parametrize("command", main.commands)
def test_help_of_every_command(command: str) -> None:
    result = CliRunner().invoke(main, [command, "--help"])
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: main {command}")


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (NoCredentialsError(), "AWS does not know you; run aws configure or aws sso login"),
        (TokenRetrievalError(provider="sso", error_msg="expired"), "AWS does not know you"),
        (client_error("ExpiredTokenException"), "AWS does not know you"),
        (client_error("AccessDeniedException"), "jobs/policies/user.json holds the permissions"),
        (client_error("403"), "jobs/policies/user.json holds the permissions"),
        (client_error("ResourceLimitExceeded"), "because"),
    ],
)
def test_advice(error: Exception, advice: str) -> None:
    assert advice in explain(error)


def test_refusal_of_aws_is_told_without_a_traceback(run: Run, uploaded: None, sagemaker: Stubber) -> None:
    sagemaker.add_client_error("create_training_job", "AccessDeniedException", "not for you")
    result: Any = run("train", code=1)
    assert "Error: An error occurred (AccessDeniedException)" in result.stderr
    assert "Traceback" not in result.output
