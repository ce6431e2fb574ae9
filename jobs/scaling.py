"""Scale an endpoint with its load, by Application Auto Scaling."""

from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from jobs.account import Account
from jobs.aws_request import Request, send
from jobs.options import Command, several

SERVICE = "application-autoscaling"
# Replaced by the ARN of the preceding policy once AWS has returned it.
_POLICY_ARN = "ARN of the policy before"
# Requests per minute and instance, or queued requests per instance.
_TARGETS = {"real-time": 1000.0, "asynchronous": 5.0}
# https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-autoscale.html
_BACKLOG = {"Namespace": "AWS/SageMaker", "Statistic": "Average"}


@dataclass(frozen=True, slots=True)
class Scaling:
    """Limits of the instance count, and the target load of an instance; None for the mode's default."""

    minimum: int
    maximum: int
    target: float | None


_OPTIONS = several(
    click.option("--max-instances", type=click.IntRange(1), help="Scale up to this many instances."),
    click.option(
        "--min-instances",
        type=click.IntRange(0),
        default=1,
        show_default=True,
        help="With --max-instances; 0 only for asynchronous endpoints.",
    ),
    click.option(
        "--scaling-target",
        type=click.FloatRange(0, min_open=True),
        help="Load per instance: requests per minute (default 1000), or queued requests if asynchronous (5).",
    ),
)


def with_scaling(command: Command) -> Command:
    """Add the options; the command gets them as ``scaling``."""

    @_OPTIONS
    @wraps(command)
    def wrapper(*arguments: Any, **options: Any) -> Any:
        maximum, minimum = options.pop("max_instances"), options.pop("min_instances")
        target = options.pop("scaling_target")
        if minimum == 0 and options["mode"] != "asynchronous":
            raise click.UsageError("--min-instances 0 needs --mode asynchronous")
        if maximum and maximum < max(minimum, options["instance_count"]):
            raise click.UsageError("--max-instances is less than --min-instances or --instance-count")
        scaling = Scaling(minimum, maximum, target) if maximum else None
        return command(*arguments, scaling=scaling, **options)

    return wrapper


def scalable_target(endpoint: str, variant: str) -> dict[str, str]:
    """Parameters that identify the instance count of an endpoint."""
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/{variant}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }


def delete_requests(account: Account, endpoint: str, variant: str) -> list[Request]:
    """Requests that end the scaling of an endpoint; none if it is not scaled."""
    requests = []
    target = scalable_target(endpoint, variant)
    query = {"ServiceNamespace": target["ServiceNamespace"], "ResourceIds": [target["ResourceId"]]}
    if account.client(SERVICE).describe_scalable_targets(**query)["ScalableTargets"]:
        requests.append(Request(SERVICE, "DeregisterScalableTarget", target))
    names = {"AlarmNames": [_alarm(endpoint)]}
    if account.client("cloudwatch").describe_alarms(**names)["MetricAlarms"]:
        requests.append(Request("cloudwatch", "DeleteAlarms", names))
    return requests


def _alarm(endpoint: str) -> str:
    """Name of the alarm that adds the first instance to an endpoint without instances."""
    return f"{endpoint}-has-backlog"


def requests(endpoint: str, variant: str, mode: str, scaling: Scaling) -> list[Request]:
    """Requests that scale an endpoint in service."""
    target = scalable_target(endpoint, variant)
    limits = {"MinCapacity": scaling.minimum, "MaxCapacity": scaling.maximum}
    tracking = {"TargetValue": scaling.target or _TARGETS[mode], **_load_metric(endpoint, mode)}
    policy = {
        "PolicyName": f"{endpoint}-load",
        "PolicyType": "TargetTrackingScaling",
        **target,
        "TargetTrackingScalingPolicyConfiguration": tracking,
    }
    requests = [
        Request(SERVICE, "RegisterScalableTarget", target | limits),
        Request(SERVICE, "PutScalingPolicy", policy),
    ]
    return requests + (_first_instance(endpoint, target) if scaling.minimum == 0 else [])


def _load_metric(endpoint: str, mode: str) -> dict[str, Any]:
    if mode == "asynchronous":
        metric = {
            "MetricName": "ApproximateBacklogSizePerInstance",
            "Dimensions": [{"Name": "EndpointName", "Value": endpoint}],
        }
        return {"CustomizedMetricSpecification": _BACKLOG | metric}
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
    alarm = {
        "AlarmName": _alarm(endpoint),
        "AlarmActions": [_POLICY_ARN],
        **_BACKLOG,
        "MetricName": "HasBacklogWithoutCapacity",
        "Dimensions": [{"Name": "EndpointName", "Value": endpoint}],
        "Period": 60,
        "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "Threshold": 1.0,
        "TreatMissingData": "missing",
    }
    return [Request(SERVICE, "PutScalingPolicy", policy), Request("cloudwatch", "PutMetricAlarm", alarm)]


def apply(account: Account, requests: list[Request]) -> None:
    """Send scaling requests, and insert the ARN of each policy into the alarm that follows it."""
    arn = ""
    for request in requests:
        if "AlarmActions" in request.parameters:
            send(account, request._replace(parameters=request.parameters | {"AlarmActions": [arn]}))
        else:
            arn = send(account, request).get("PolicyARN", "")
