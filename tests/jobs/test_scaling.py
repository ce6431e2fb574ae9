"""Scaling an endpoint with its load."""

from typing import Any

import boto3
import pytest

from jobs.scaling import requests
from tests.jobs.conftest import REGION, Run, shown


def checked_requests(mode: str, minimum: int, target: float | None = None) -> list[Any]:
    values = {"mode": mode, "min_instances": minimum, "max_instances": 4, "scaling_target": target}
    created = requests("sentiment-e", "all", values)
    for request in created:
        request.check()
    return created


def test_real_time_scales_by_invocations() -> None:
    limits, policy = checked_requests("real-time", 1)
    assert (limits.parameters["MinCapacity"], limits.parameters["MaxCapacity"]) == (1, 4)
    tracking = policy.parameters["TargetTrackingScalingPolicyConfiguration"]
    metric = tracking["PredefinedMetricSpecification"]["PredefinedMetricType"]
    assert (metric, tracking["TargetValue"]) == ("SageMakerVariantInvocationsPerInstance", 1000)


def test_asynchronous_scales_by_backlog() -> None:
    _, policy = checked_requests("asynchronous", 1, 7)
    tracking = policy.parameters["TargetTrackingScalingPolicyConfiguration"]
    metric = tracking["CustomizedMetricSpecification"]["MetricName"]
    assert (metric, tracking["TargetValue"]) == ("ApproximateBacklogSizePerInstance", 7)


def test_zero_instances_scale_at_first_request() -> None:
    _, _, step, alarm = checked_requests("asynchronous", 0)
    assert step.parameters["StepScalingPolicyConfiguration"]["StepAdjustments"][0]["ScalingAdjustment"] == 1
    assert alarm.parameters["MetricName"] == "HasBacklogWithoutCapacity"


@pytest.fixture
def deployed(run: Run, trained: str) -> str:
    """Name of an asynchronous endpoint with a minimum of 0 instances."""
    options = ["--mode", "asynchronous", "--min-instances", "0", "--max-instances", "3"]
    run("deploy", trained, "--name", "sentiment-e", "--yes", *options)
    return "sentiment-e"


def scalable_targets() -> list[Any]:
    client = boto3.client("application-autoscaling", REGION)
    return list(client.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"])


def alarms() -> list[Any]:
    return list(boto3.client("cloudwatch", REGION).describe_alarms()["MetricAlarms"])


def test_deploy_registers_scalable_target(deployed: str) -> None:
    (target,) = scalable_targets()
    assert target["ResourceId"] == f"endpoint/{deployed}/variant/all"
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, 3)


def test_alarm_triggers_step_policy(deployed: str) -> None:
    client = boto3.client("application-autoscaling", REGION)
    policies = client.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    (step,) = [policy for policy in policies if policy["PolicyName"] == f"{deployed}-wake"]
    (alarm,) = alarms()
    assert alarm["AlarmActions"] == [step["PolicyARN"]]


def test_delete_removes_scaling(run: Run, deployed: str) -> None:
    run("delete", deployed, "--yes")
    assert scalable_targets() == []
    assert alarms() == []


def test_dry_run_shows_scaling_policy(run: Run, trained: str) -> None:
    result = run("deploy", trained, "--dry-run", "--max-instances", "2", "--scaling-target", "50")
    policy = shown(result, "PutScalingPolicy")
    assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 50
