"""Replace the model of an endpoint, and roll back if requests fail."""

from typing import Any

import click

from jobs import delete, wait
from jobs.account import Account
from jobs.aws_request import Request, put_alarm, sagemaker, send_all
from jobs.resources import ENDPOINT, Resource

# As in docs/serving.md.
ERRORS = '{ $.source = "request" && $.status >= 500 }'
NAMESPACE = "SageMakerEndpoints"
_WAIT = {"WaitIntervalInSeconds": 300}
_HALF = {"Type": "CAPACITY_PERCENT", "Value": 50}
POLICIES: dict[str, dict[str, Any]] = {
    "blue-green": {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE"} | _WAIT}},
    "rolling": {"RollingUpdatePolicy": {"MaximumBatchSize": _HALF} | _WAIT},
}


def requests(endpoint: str, configuration: str, policy: str) -> list[Request]:
    """Requests that count errors, raise an alarm on one, and update the endpoint until there is an alarm."""
    alarm = delete.errors_alarm(endpoint)
    metric = {"metricName": alarm, "metricNamespace": NAMESPACE, "metricValue": "1"}
    count = {
        "logGroupName": ENDPOINT.log_group.format(name=endpoint),
        "filterName": alarm,
        "filterPattern": ERRORS,
        "metricTransformations": [metric],
    }
    rollback = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": alarm}]}}
    return [
        Request("logs", "PutMetricFilter", count),
        put_alarm(alarm, NAMESPACE, alarm, Statistic="Sum", TreatMissingData="notBreaching"),
        sagemaker(
            "UpdateEndpoint",
            EndpointName=endpoint,
            EndpointConfigName=configuration,
            DeploymentConfig=POLICIES[policy] | rollback,
        ),
    ]


def finish(account: Account, previous: Resource, configuration: str) -> None:
    """Watch an update, and delete the configuration and the model that the endpoint no longer uses.

    Raises:
        click.ClickException: SageMaker rolled the update back, or the endpoint failed.
        click.exceptions.Exit: Ctrl-C was pressed; the endpoint in service stays.
    """
    try:
        current = wait.check_success(wait.until_done(account, ENDPOINT, previous.name))
    except KeyboardInterrupt:
        click.echo(f"\nthe update continues; python -m jobs status {previous.name} shows it", err=True)
        raise click.exceptions.Exit(130) from None
    is_updated = current["EndpointConfigName"] == configuration
    unused = previous.description["EndpointConfigName"] if is_updated else configuration
    send_all(account, delete.configuration_requests(account, unused))
    if not is_updated:
        log = f"python -m jobs logs {previous.name}"
        raise click.ClickException(f"the new model answered with errors and was rolled back; see {log}")
