"""Models in SageMaker's model registry, where somebody approves them."""

from typing import Any

from botocore.exceptions import ClientError

from byoc.serving.payload import CSV, JSON, JSON_LINES, TEXT
from jobs import artifact
from jobs.account import Account
from jobs.aws_request import Request, send
from jobs.resources import NOT_FOUND


def requests(
    account: Account, trained: artifact.Artifact, group: str, tags: list[dict[str, str]]
) -> list[Request]:
    """What registers a model, to be approved by hand; makes the group if there is none."""
    package: dict[str, Any] = {
        "ModelPackageGroupName": group,
        "ModelPackageDescription": f"trained by {trained.job}",
        "ModelApprovalStatus": "PendingManualApproval",
        "InferenceSpecification": {
            "Containers": [{"Image": trained.image, "ModelDataUrl": trained.uri}],
            "SupportedContentTypes": [JSON, JSON_LINES, CSV, TEXT],
            "SupportedResponseMIMETypes": [JSON, JSON_LINES, CSV],
        },
        "CustomerMetadataProperties": {
            "training_job": trained.job,
            **{name: f"{value:.6g}" for name, value in trained.figures.items()},
        },
    }
    making = [Request("sagemaker", "CreateModelPackage", package)]
    if not _exists(account, group):
        parameters = {"ModelPackageGroupName": group, "Tags": tags}
        making.insert(0, Request("sagemaker", "CreateModelPackageGroup", parameters))
    return making


def _exists(account: Account, group: str) -> bool:
    try:
        account.client("sagemaker").describe_model_package_group(ModelPackageGroupName=group)
    except ClientError as error:
        if error.response["Error"]["Code"] not in NOT_FOUND:
            raise
        return False
    return True


def register(account: Account, trained: artifact.Artifact, group: str, tags: list[dict[str, str]]) -> None:
    """Register a model."""
    for request in requests(account, trained, group, tags):
        send(account, request)
