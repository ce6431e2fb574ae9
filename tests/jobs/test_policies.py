"""The policies: valid, narrow, and enough for every call of the command line and of build_and_push.sh."""

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import boto3
import pytest

from jobs import ROOT
from tests.jobs.conftest import REGION, Call, Run

FOLDER = ROOT / "jobs" / "policies"
FILES = sorted(path for path in FOLDER.glob("*.json") if path.stem != "execution-role-trust")
PLACES = {
    "ACCOUNT": "123456789012",
    "REGION": REGION,
    "BUCKET": "mine",
    "ROLE": "sagemaker",
    "KEY": "1234abcd-12ab-34cd-56ef-1234567890ab",
}
# For these IAM knows no resources: https://docs.aws.amazon.com/service-authorization/latest/reference/
WITHOUT_RESOURCES = (
    "application-autoscaling:DescribeScalableTargets", "cloudwatch:PutMetricData", "ec2:Describe*",
    "ecr:GetAuthorizationToken", "iam:ListRoles", "sagemaker:List*",
)  # fmt: skip
# Operations of S3 whose action has another name.
S3_ACTIONS = {
    "HeadBucket": "ListBucket", "ListObjectsV2": "ListBucket", "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject", "CompleteMultipartUpload": "PutObject",
}  # fmt: skip
SERVICES = {"monitoring": "cloudwatch", "api.ecr": "ecr"}


def filled(path: Path) -> str:
    """A policy with the names of an account in their places."""
    text = path.read_text()
    for place, name in PLACES.items():
        text = text.replace(place, name)
    return text


def statements(*paths: Path) -> list[dict[str, Any]]:
    return [statement for path in paths for statement in json.loads(filled(path))["Statement"]]


def actions(*names: str) -> set[str]:
    paths = [FOLDER / f"{name}.json" for name in names]
    return {action for statement in statements(*paths) for action in statement["Action"]}


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_iam_takes_it(path: Path) -> None:
    boto3.client("iam", REGION).create_policy(PolicyName=path.stem, PolicyDocument=filled(path))


@pytest.mark.usefixtures("aws")
def test_iam_takes_the_roles_trust(run: Run) -> None:
    boto3.client("iam", REGION).delete_role(RoleName="sagemaker")
    trust = filled(FOLDER / "execution-role-trust.json")
    boto3.client("iam", REGION).create_role(RoleName="mine", AssumeRolePolicyDocument=trust)
    boto3.client("s3", REGION).create_bucket(Bucket="mine")
    boto3.client("s3", REGION).put_object(Bucket="mine", Key="a/b", Body=b"")
    assert "role/mine" in run("train", "--training", "s3://mine/a", "--dry-run").stdout


@pytest.mark.parametrize("statement", statements(*FILES), ids=lambda statement: statement["Sid"])
def test_each_statement_is_narrow(statement: dict[str, Any]) -> None:
    assert statement["Effect"] == "Allow"
    assert not [action for action in statement["Action"] if "*" in action]
    resources = statement["Resource"]
    if resources == "*":
        assert all(
            any(fnmatchcase(action, each) for each in WITHOUT_RESOURCES) for action in statement["Action"]
        )
        return
    for resource in [resources] if isinstance(resources, str) else resources:
        service, region, account, name = resource.split(":", 5)[2:]
        assert "*" not in region + account
        assert account == PLACES["ACCOUNT"] or service == "s3"
        assert name.strip("*/")


def action(call: Call) -> str:
    """What IAM calls an operation."""
    service = SERVICES.get(call.service, call.service)
    return f"{service}:{S3_ACTIONS.get(call.operation, call.operation)}"


def test_user_may_call_what_the_whole_journey_calls(whole_journey: list[Call]) -> None:
    called = {action(call) for call in whole_journey} - {"sts:GetCallerIdentity"}  # everyone may ask that
    assert len(called) > 30
    assert called <= actions("user")


def test_user_is_permitted_little_else(whole_journey: list[Call]) -> None:
    """What IAM asks for beside the operations themselves, asking an endpoint, and fetching results."""
    assert actions("user") - {action(call) for call in whole_journey} == {
        "iam:CreateServiceLinkedRole",
        "iam:GetRole",  # --role NAME
        "iam:PassRole",
        "s3:AbortMultipartUpload",
        "s3:GetObject",  # what jobs leave
        "sagemaker:AddTags",
        "sagemaker:InvokeEndpoint",
        "sagemaker:InvokeEndpointAsync",
        "sagemaker:StopHyperParameterTuningJob",  # moto has no stop calls
        "sagemaker:StopTrainingJob",
        "sagemaker:StopTransformJob",
        "sagemaker:UpdateEndpointWeightsAndCapacities",  # by Application Auto Scaling
    }


def test_builder_may_call_what_build_and_push_calls() -> None:
    script = (ROOT / "build_and_push.sh").read_text()
    commands = set(re.findall(r"\baws ecr ([a-z-]+)", script)) - {"get-login-password"}
    called = {"ecr:" + "".join(part.capitalize() for part in command.split("-")) for command in commands}
    named = re.search(r"you need ecr:(InitiateLayerUpload[\w, ]+)", script)
    assert named
    called |= {f"ecr:{action}" for action in named[1].split(", ")} | {"ecr:GetAuthorizationToken"}
    assert called >= {"ecr:CreateRepository", "ecr:DescribeRepositories", "ecr:PutImage"}
    assert called <= actions("builder")


def test_role_can_be_handed_to_sagemaker_only() -> None:
    (passing,) = [each for each in statements(FOLDER / "user.json") if each["Action"] == ["iam:PassRole"]]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}


def test_job_can_remove_nothing_but_checkpoints() -> None:
    removing = [
        each for each in statements(FOLDER / "execution-role.json") if "s3:DeleteObject" in each["Action"]
    ]
    assert [each["Resource"] for each in removing] == ["arn:aws:s3:::mine/sentiment/checkpoints/*"]
