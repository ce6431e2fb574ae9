"""Register models in a SageMaker model package group, where they wait for approval."""

from typing import Any

from byoc.serving.request import CSV, JSON, JSON_LINES, TEXT
from jobs.account import Account
from jobs.artifact import Artifact
from jobs.aws_request import Request
from jobs.resources import ResourceType

GROUP = ResourceType("model package group", "ModelPackageGroup")


def requests(account: Account, artifact: Artifact, group: str, tags: list[dict[str, str]]) -> list[Request]:
    """Requests that register a model for manual approval, in a new group if there is none."""
    package: dict[str, Any] = {
        "ModelPackageGroupName": group,
        "ModelPackageDescription": f"trained by {artifact.job}",
        "ModelApprovalStatus": "PendingManualApproval",
        "InferenceSpecification": {
            "Containers": [{"Image": artifact.image, "ModelDataUrl": artifact.uri}],
            "SupportedContentTypes": [JSON, JSON_LINES, CSV, TEXT],
            "SupportedResponseMIMETypes": [JSON, JSON_LINES, CSV],
        },
        "CustomerMetadataProperties": {
            "training_job": artifact.job,
            **{name: f"{value:.6g}" for name, value in artifact.metrics.items()},
        },
    }
    requests = [Request("sagemaker", "CreateModelPackage", package)]
    if not GROUP.find(account, group):
        parameters = {"ModelPackageGroupName": group, "Tags": tags}
        requests.insert(0, Request("sagemaker", "CreateModelPackageGroup", parameters))
    return requests
