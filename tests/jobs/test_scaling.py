"""Scaling an endpoint."""

from typing import Any

import boto3
import pytest

from jobs.aws_request import check
from jobs.scaling import Scaling, requests
from tests.jobs.conftest import REGION, Run, shown


def made(mode: str, scaling: Scaling) -> list[Any]:
    found = requests("sentiment-e", "all", mode, scaling)
    for request in found:
        check(request)
    return found


def test_real_time_by_requests_a_minute() -> None:
    limits, policy = made("real-time", Scaling(1, 4, None))
    assert (limits.parameters["MinCapacity"], limits.parameters["MaxCapacity"]) == (1, 4)
    tracking = policy.parameters["TargetTrackingScalingPolicyConfiguration"]
    metric = tracking["PredefinedMetricSpecification"]["PredefinedMetricType"]
    assert (metric, tracking["TargetValue"]) == ("SageMakerVariantInvocationsPerInstance", 1000)


def test_asynchronous_by_waiting_requests() -> None:
    _, policy = made("asynchronous", Scaling(1, 4, 7))
    tracking = policy.parameters["TargetTrackingScalingPolicyConfiguration"]
    metric = tracking["CustomizedMetricSpecification"]["MetricName"]
    assert (metric, tracking["TargetValue"]) == ("ApproximateBacklogSizePerInstance", 7)


def test_from_nothing_it_wakes_at_the_first_request() -> None:
    _, _, step, alarm = made("asynchronous", Scaling(0, 4, None))
    assert step.parameters["StepScalingPolicyConfiguration"]["StepAdjustments"][0]["ScalingAdjustment"] == 1
    assert alarm.parameters["MetricName"] == "HasBacklogWithoutCapacity"


@pytest.fixture
def deployed(run: Run, trained: str) -> str:
    """An asynchronous endpoint that is scaled from nothing."""
    options = ["--mode", "asynchronous", "--min-instances", "0", "--max-instances", "3"]
    run("deploy", trained, "--name", "sentiment-e", "--yes", *options)
    return "sentiment-e"


def scaled() -> list[Any]:
    client = boto3.client("application-autoscaling", REGION)
    return list(client.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"])


def alarms() -> list[Any]:
    return list(boto3.client("cloudwatch", REGION).describe_alarms()["MetricAlarms"])


def test_endpoint_is_scaled_once_it_is_in_service(deployed: str) -> None:
    (target,) = scaled()
    assert target["ResourceId"] == f"endpoint/{deployed}/variant/all"
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, 3)


def test_alarm_starts_the_policy_that_wakes(deployed: str) -> None:
    client = boto3.client("application-autoscaling", REGION)
    policies = client.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    (waking,) = [policy for policy in policies if policy["PolicyName"] == f"{deployed}-wake"]
    (alarm,) = alarms()
    assert alarm["AlarmActions"] == [waking["PolicyARN"]]


def test_nothing_of_it_is_left_after_delete(run: Run, deployed: str) -> None:
    run("delete", deployed, "--yes")
    assert scaled() == []
    assert alarms() == []


def test_dry_run_shows_it(run: Run, trained: str) -> None:
    result = run("deploy", trained, "--dry-run", "--max-instances", "2", "--scaling-target", "50")
    policy = shown(result, "PutScalingPolicy")
    assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 50
