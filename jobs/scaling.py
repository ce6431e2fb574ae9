"""Scaling an endpoint by its load, through Application Auto Scaling."""

from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from jobs.account import Account
from jobs.aws_request import Request, send
from jobs.options import Command, several

SERVICE = "application-autoscaling"
# What stands for a policy's ARN before AWS has answered with it.
_POLICY_ARN = "ARN of the policy before"
# Requests a minute to an instance, or waiting requests an instance.
_TARGETS = {"real-time": 1000.0, "asynchronous": 5.0}
# https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-autoscale.html
_BACKLOG = {"Namespace": "AWS/SageMaker", "Statistic": "Average"}


@dataclass(frozen=True, slots=True)
class Scaling:
    """Between how many instances, and about what load of one; None for the mode's usual."""

    least: int
    most: int
    load: float | None


_OPTIONS = several(
    click.option("--max-instances", type=click.IntRange(1), help="Scale the endpoint, up to so many."),
    click.option(
        "--min-instances",
        type=click.IntRange(0),
        default=1,
        show_default=True,
        help="With --max-instances; 0 only if asynchronous.",
    ),
    click.option(
        "--scaling-target",
        type=click.FloatRange(0, min_open=True),
        help="Load of one instance: requests a minute (default 1000); asynchronous: waiting ones (5).",
    ),
)


def with_scaling(command: Command) -> Command:
    """The options, given to the command as ``scaling``."""

    @_OPTIONS
    @wraps(command)
    def wrapper(
        *arguments: Any,
        max_instances: int | None,
        min_instances: int,
        scaling_target: float | None,
        **options: Any,
    ) -> Any:
        if min_instances == 0 and options["mode"] != "asynchronous":
            raise click.UsageError("--min-instances 0 needs --mode asynchronous")
        if max_instances and max_instances < max(min_instances, options["instance_count"]):
            raise click.UsageError("--max-instances is less than --min-instances or --instance-count")
        scaling = Scaling(min_instances, max_instances, scaling_target) if max_instances else None
        return command(*arguments, scaling=scaling, **options)

    return wrapper


def target(endpoint: str, variant: str) -> dict[str, str]:
    """What names an endpoint's number of instances."""
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/{variant}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }


def ending(account: Account, endpoint: str, variant: str) -> list[Request]:
    """What ends the scaling of an endpoint; nothing if it is not scaled."""
    found = []
    resource = target(endpoint, variant)
    asked = {"ServiceNamespace": resource["ServiceNamespace"], "ResourceIds": [resource["ResourceId"]]}
    if account.client(SERVICE).describe_scalable_targets(**asked)["ScalableTargets"]:
        found.append(Request(SERVICE, "DeregisterScalableTarget", resource))
    names = {"AlarmNames": [_alarm(endpoint)]}
    if account.client("cloudwatch").describe_alarms(**names)["MetricAlarms"]:
        found.append(Request("cloudwatch", "DeleteAlarms", names))
    return found


def _alarm(endpoint: str) -> str:
    """Name of the alarm that wakes an endpoint of no instances."""
    return f"{endpoint}-has-backlog"


def requests(endpoint: str, variant: str, mode: str, scaling: Scaling) -> list[Request]:
    """What scales an endpoint, once it is in service."""
    resource = target(endpoint, variant)
    limits = {"MinCapacity": scaling.least, "MaxCapacity": scaling.most}
    tracking = {
        "PolicyName": f"{endpoint}-load",
        "PolicyType": "TargetTrackingScaling",
        **resource,
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": scaling.load or _TARGETS[mode],
            **_load(endpoint, mode),
        },
    }
    scaled = [
        Request(SERVICE, "RegisterScalableTarget", resource | limits),
        Request(SERVICE, "PutScalingPolicy", tracking),
    ]
    return scaled + (_waking(endpoint, resource) if scaling.least == 0 else [])


def _load(endpoint: str, mode: str) -> dict[str, Any]:
    """The metric of an instance's load."""
    if mode == "asynchronous":
        metric = {
            "MetricName": "ApproximateBacklogSizePerInstance",
            "Dimensions": [{"Name": "EndpointName", "Value": endpoint}],
        }
        return {"CustomizedMetricSpecification": _BACKLOG | metric}
    usual = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
    return {"PredefinedMetricSpecification": usual}


def _waking(endpoint: str, resource: dict[str, str]) -> list[Request]:
    """From no instance to one at the first request: without an instance there is no load of one."""
    step = {
        "PolicyName": f"{endpoint}-wake",
        "PolicyType": "StepScaling",
        **resource,
        "StepScalingPolicyConfiguration": {
            "AdjustmentType": "ChangeInCapacity",
            "MetricAggregationType": "Average",
            "Cooldown": 300,
            "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
        },
    }
    waking = {
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
    return [Request(SERVICE, "PutScalingPolicy", step), Request("cloudwatch", "PutMetricAlarm", waking)]


def apply(account: Account, scaled: list[Request]) -> None:
    """Send what ``requests`` returned, each policy's ARN in the place kept for it."""
    arn = ""
    for request in scaled:
        if "AlarmActions" in request.parameters:
            send(account, request._replace(parameters=request.parameters | {"AlarmActions": [arn]}))
        else:
            arn = send(account, request).get("PolicyARN", "")
