"""Scale an endpoint with its load, by Application Auto Scaling."""

from collections.abc import Mapping
from typing import Any

import click

from jobs.account import Account
from jobs.aws_request import Request, put_alarm, send
from jobs.options import positive, several

SERVICE = "application-autoscaling"
# Replaced by the ARN of the preceding policy once AWS has returned it.
_POLICY_ARN = "ARN of the policy before"
# Requests per minute and instance, or queued requests per instance.
_TARGETS = {"real-time": 1000.0, "asynchronous": 5.0}

scaling_options = several(
    positive("--max-instances", None, "Scale up to this many instances."),
    click.option(
        "--min-instances", type=click.IntRange(0), default=1, help="0 only for asynchronous endpoints."
    ),
    click.option(
        "--scaling-target",
        type=click.FloatRange(0, min_open=True),
        help="Load per instance: requests per minute (default 1000), or queued requests if asynchronous (5).",
    ),
)


def check_options(values: Mapping[str, Any]) -> None:
    """Refuse options that contradict each other.

    Raises:
        click.UsageError: names them.
    """
    minimum, maximum = values["min_instances"], values["max_instances"]
    if minimum == 0 and values["mode"] != "asynchronous":
        raise click.UsageError("--min-instances 0 needs --mode asynchronous")
    if maximum and maximum < max(minimum, values["instance_count"]):
        raise click.UsageError("--max-instances is less than --min-instances or --instance-count")
    if maximum and not values["wait"]:
        raise click.UsageError("--max-instances needs --wait: only an endpoint in service can be scaled")


def scalable_target(endpoint: str, variant: str) -> dict[str, str]:
    """Parameters that identify the instance count of an endpoint."""
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/{variant}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }


def delete_requests(account: Account, endpoint: str, variant: str) -> list[Request]:
    """Requests that end the scaling of an endpoint; none if it is not scaled."""
    target = scalable_target(endpoint, variant)
    query = {"ServiceNamespace": target["ServiceNamespace"], "ResourceIds": [target["ResourceId"]]}
    is_scaled = account.client(SERVICE).describe_scalable_targets(**query)["ScalableTargets"]
    return [Request(SERVICE, "DeregisterScalableTarget", target)] if is_scaled else []


def backlog_alarm(endpoint: str) -> str:
    """Name of the alarm that adds the first instance to an endpoint without instances."""
    return f"{endpoint}-has-backlog"


def requests(endpoint: str, variant: str, values: Mapping[str, Any]) -> list[Request]:
    """Requests that scale an endpoint in service, from the values of the options; none without a maximum."""
    if not values["max_instances"]:
        return []
    target, mode = scalable_target(endpoint, variant), values["mode"]
    limits = {"MinCapacity": values["min_instances"], "MaxCapacity": values["max_instances"]}
    load = _load_metric(endpoint, mode) | {"TargetValue": values["scaling_target"] or _TARGETS[mode]}
    policy = {
        "PolicyName": f"{endpoint}-load",
        "PolicyType": "TargetTrackingScaling",
        **target,
        "TargetTrackingScalingPolicyConfiguration": load,
    }
    requests = [
        Request(SERVICE, "RegisterScalableTarget", target | limits),
        Request(SERVICE, "PutScalingPolicy", policy),
    ]
    return requests + (_first_instance(endpoint, target) if values["min_instances"] == 0 else [])


def _load_metric(endpoint: str, mode: str) -> dict[str, Any]:
    """The metric of the load: https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-autoscale.html."""
    if mode == "asynchronous":
        metric = {
            "Namespace": "AWS/SageMaker",
            "MetricName": "ApproximateBacklogSizePerInstance",
            "Statistic": "Average",
            "Dimensions": [{"Name": "EndpointName", "Value": endpoint}],
        }
        return {"CustomizedMetricSpecification": metric}
    invocations = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
    return {"PredefinedMetricSpecification": invocations}


def _first_instance(endpoint: str, target: dict[str, str]) -> list[Request]:
    """Add an instance at the first request: the load per instance is undefined without instances."""
    policy = {
        "PolicyName": f"{endpoint}-wake",
        "PolicyType": "StepScaling",
        **target,
        "StepScalingPolicyConfiguration": {
            "AdjustmentType": "ChangeInCapacity",
            "MetricAggregationType": "Average",
            "Cooldown": 300,
            "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
        },
    }
    alarm = put_alarm(
        backlog_alarm(endpoint),
        "AWS/SageMaker",
        "HasBacklogWithoutCapacity",
        Statistic="Average",
        Dimensions=[{"Name": "EndpointName", "Value": endpoint}],
        AlarmActions=[_POLICY_ARN],
    )
    return [Request(SERVICE, "PutScalingPolicy", policy), alarm]


def apply(account: Account, requests: list[Request]) -> None:
    """Send scaling requests, and insert the ARN of each policy into the alarm that follows it."""
    arn = ""
    for request in requests:
        if "AlarmActions" in request.parameters:
            request.parameters["AlarmActions"] = [arn]
        arn = send(account, request).get("PolicyARN", "")
