"""Looking up the IAM role."""

import json

import boto3
import click
import pytest
from botocore.exceptions import ClientError

from jobs import role
from jobs.account import Account
from tests.jobs.conftest import REGION, ROLE, TRUST, Run, shown

pytestmark = pytest.mark.usefixtures("aws")


def add_role(name: str) -> None:
    boto3.client("iam", REGION).create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))


def test_role_arn_is_kept() -> None:
    assert (
        role.find(Account("sentiment", REGION), "arn:aws:iam::1" + 11 * "0" + ":role/mine")
        == "arn:aws:iam::100000000000:role/mine"
    )


def test_role_name_becomes_arn() -> None:
    assert role.find(Account("sentiment", REGION), "sagemaker") == ROLE


def test_unknown_name_is_an_error() -> None:
    with pytest.raises(click.ClickException, match="no role mine; jobs/policies"):
        role.find(Account("sentiment", REGION), "mine")


def test_only_assumable_role_is_found() -> None:
    other = json.dumps(TRUST).replace("sagemaker", "ec2")
    boto3.client("iam", REGION).create_role(RoleName="other", AssumeRolePolicyDocument=other)
    assert role.find(Account("sentiment", REGION), None) == ROLE


def test_missing_role_is_an_error() -> None:
    boto3.client("iam", REGION).delete_role(RoleName="sagemaker")
    with pytest.raises(click.ClickException, match="no role that SageMaker can assume"):
        role.find(Account("sentiment", REGION), None)


@pytest.mark.usefixtures("uploaded")
def test_several_roles_prompt_for_one(run: Run) -> None:
    add_role("another")
    result = run("train", "--dry-run", answers="3\n2\n")
    assert "3 is not in the range 1<=x<=2" in result.stderr
    assert shown(result, "CreateTrainingJob")["RoleArn"] == ROLE


@pytest.mark.usefixtures("uploaded")
def test_several_roles_abort_without_answer(run: Run) -> None:
    add_role("another")
    assert "Aborted!" in run("train", code=1).stderr


def test_denied_list_roles_prompts(run: Run, uploaded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_account: Account) -> list[str]:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "iam:ListRoles"}}, "ListRoles")

    monkeypatch.setattr(role, "_assumable", refuse)
    result = run("train", "--dry-run", answers=f"{ROLE}\n")
    assert shown(result, "CreateTrainingJob")["RoleArn"] == ROLE


def test_notebook_role_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    add_role("another")
    identity = {"Account": "123456789012", "Arn": "arn:aws:sts::123456789012:assumed-role/another/SageMaker"}
    monkeypatch.setattr(Account, "identity", identity)
    assert role.find(Account("sentiment", REGION), None).endswith(":role/another")
