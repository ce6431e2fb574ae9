"""The policies: valid, narrow, and sufficient for jobs/ and build_and_push.sh."""

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
PLACEHOLDERS = {
    "ACCOUNT": "123456789012",
    "REGION": REGION,
    "BUCKET": "mine",
    "ROLE": "sagemaker",
    "KEY": "1234abcd-12ab-34cd-56ef-1234567890ab",
}
# Actions without resource-level permissions: https://docs.aws.amazon.com/service-authorization/latest/reference/
WITHOUT_RESOURCES = (
    "application-autoscaling:DescribeScalableTargets", "cloudwatch:PutMetricData", "ec2:Describe*",
    "ecr:GetAuthorizationToken", "iam:ListRoles", "sagemaker:List*",
    "servicequotas:List*",
)  # fmt: skip
# S3 operations whose IAM action has a different name.
S3_ACTIONS = {
    "HeadBucket": "ListBucket", "ListObjectsV2": "ListBucket", "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject", "CompleteMultipartUpload": "PutObject",
}  # fmt: skip
SERVICES = {"monitoring": "cloudwatch", "api.ecr": "ecr", "service-quotas": "servicequotas"}


def filled(path: Path) -> str:
    """A policy with its placeholders replaced."""
    text = path.read_text()
    for placeholder, name in PLACEHOLDERS.items():
        text = text.replace(placeholder, name)
    return text


def statements(*paths: Path) -> list[dict[str, Any]]:
    return [statement for path in paths for statement in json.loads(filled(path))["Statement"]]


def actions(*names: str) -> set[str]:
    paths = [FOLDER / f"{name}.json" for name in names]
    return {action for statement in statements(*paths) for action in statement["Action"]}


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_iam_accepts_policy(path: Path) -> None:
    boto3.client("iam", REGION).create_policy(PolicyName=path.stem, PolicyDocument=filled(path))


@pytest.mark.usefixtures("aws")
def test_iam_accepts_trust_policy(run: Run) -> None:
    boto3.client("iam", REGION).delete_role(RoleName="sagemaker")
    trust = filled(FOLDER / "execution-role-trust.json")
    boto3.client("iam", REGION).create_role(RoleName="mine", AssumeRolePolicyDocument=trust)
    boto3.client("s3", REGION).create_bucket(Bucket="mine")
    boto3.client("s3", REGION).put_object(Bucket="mine", Key="a/b", Body=b"")
    assert "role/mine" in run("train", "--training", "s3://mine/a", "--dry-run").stdout


@pytest.mark.parametrize("statement", statements(*FILES), ids=lambda statement: statement["Sid"])
def test_policy_statement_is_narrow(statement: dict[str, Any]) -> None:
    assert statement["Effect"] == "Allow"
    assert not [action for action in statement["Action"] if "*" in action]
    resources = statement["Resource"]
    if resources == "*":
        assert all(
            any(fnmatchcase(action, pattern) for pattern in WITHOUT_RESOURCES)
            for action in statement["Action"]
        )
        return
    for resource in [resources] if isinstance(resources, str) else resources:
        service, region, account, name = resource.split(":", 5)[2:]
        assert "*" not in region + account
        assert account == PLACEHOLDERS["ACCOUNT"] or service == "s3"
        assert name.strip("*/")


def action(call: Call) -> str:
    """The IAM action of an operation."""
    service = SERVICES.get(call.service, call.service)
    return f"{service}:{S3_ACTIONS.get(call.operation, call.operation)}"


def test_user_policy_covers_all_commands(all_calls: list[Call]) -> None:
    called = {action(call) for call in all_calls} - {"sts:GetCallerIdentity"}  # needs no permission
    assert len(called) > 30
    assert called <= actions("user")


def test_user_policy_grants_little_more(all_calls: list[Call]) -> None:
    """Only actions that IAM requires implicitly, invoking an endpoint, and reading results."""
    assert actions("user") - {action(call) for call in all_calls} == {
        "iam:CreateServiceLinkedRole",
        "iam:GetRole",  # --role NAME
        "iam:PassRole",
        "s3:AbortMultipartUpload",
        "logs:PutMetricFilter",  # deploy --update, which moto lacks
        "sagemaker:AddTags",
        "sagemaker:InvokeEndpoint",
        "sagemaker:InvokeEndpointAsync",
        "sagemaker:ListTags",  # of a job that replaced another
        "sagemaker:StopHyperParameterTuningJob",  # moto has no stop calls
        "sagemaker:StopTrainingJob",
        "sagemaker:StopTransformJob",
        "sagemaker:UpdateEndpoint",
        "sagemaker:UpdateEndpointWeightsAndCapacities",  # for Application Auto Scaling
    }


def test_builder_policy_covers_build_and_push() -> None:
    script = (ROOT / "build_and_push.sh").read_text()
    commands = set(re.findall(r"\baws ecr ([a-z-]+)", script)) - {"get-login-password"}
    called = {"ecr:" + command.title().replace("-", "") for command in commands}
    named = re.search(r"you need ecr:(InitiateLayerUpload[\w, ]+)", script)
    assert named
    called |= {f"ecr:{action}" for action in named[1].split(", ")} | {"ecr:GetAuthorizationToken"}
    assert called >= {"ecr:CreateRepository", "ecr:DescribeRepositories", "ecr:PutImage"}
    assert called <= actions("builder")


def test_role_passes_to_sagemaker_only() -> None:
    user = statements(FOLDER / "user.json")
    (statement,) = [statement for statement in user if statement["Action"] == ["iam:PassRole"]]
    assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}


def test_job_may_delete_only_checkpoints() -> None:
    role = statements(FOLDER / "execution-role.json")
    resources = [statement["Resource"] for statement in role if "s3:DeleteObject" in statement["Action"]]
    assert resources == ["arn:aws:s3:::mine/sentiment/checkpoints/*"]
