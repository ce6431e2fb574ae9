"""``tune``: run a tuning job."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from jobs import fallback, options
from jobs.account import Account
from jobs.aws_request import Request, sagemaker
from jobs.model_package import ModelPackage
from jobs.resources import TUNING
from jobs.train import definition, job_options, resources

RANGES = ("ContinuousParameterRanges", "IntegerParameterRanges", "CategoricalParameterRanges")


def read_tuning(package: ModelPackage, path: Path, fixed: Mapping[str, str]) -> dict[str, Any]:
    """Objective and ranges from a file, without the ranges of fixed hyperparameters.

    Raises:
        click.ClickException: the file is missing or malformed, or leaves nothing to tune.
        byoc.errors.HyperparameterError: a range contains values that a job would refuse.
    """
    if not path.exists():
        raise click.UsageError(f"the model package has no {path.name}; use --tuning FILE")
    try:
        tuning: dict[str, Any] = json.loads(path.read_text("utf-8"))
        ranges = {
            key: [entry for entry in tuning["ParameterRanges"].get(key, []) if entry["Name"] not in fixed]
            for key in RANGES
        }
        entries = [entry for key in RANGES for entry in ranges[key]]
        for entry in entries:
            for value in entry["Values"] if "Values" in entry else (entry["MinValue"], entry["MaxValue"]):
                package.check_hyperparameters({entry["Name"]: value})
        objective = tuning["HyperParameterTuningJobObjective"]
        if objective["MetricName"] not in [metric["Name"] for metric in package.metric_definitions]:
            raise ValueError(f"no metric {objective['MetricName']} in the package's metric_definitions.json")
    except (ValueError, KeyError, TypeError) as error:
        example = "code/sentiment/tuning.json"
        raise click.ClickException(f"{path}: {error!r}; expected the format of {example}") from error
    if not entries:
        raise click.ClickException("nothing to tune: every hyperparameter has a fixed value")
    return {"HyperParameterTuningJobObjective": objective, "ParameterRanges": ranges}


def _resources(types: list[str], values: Mapping[str, Any]) -> dict[str, Any]:
    """The instance type of the jobs, or several in order of preference."""
    config = resources(types, values)
    if not config.pop("InstancePreferences"):
        return {"ResourceConfig": config}
    size = {"InstanceCount": config["InstanceCount"], "VolumeSizeInGB": config["VolumeSizeInGB"]}
    configs = [{"InstanceType": name, **size} for name in types]
    key = config["VolumeKmsKeyId"]
    preferences = {"AllocationStrategy": "Prioritized", "InstanceConfigs": configs, "VolumeKmsKeyId": key}
    return {"HyperParameterTuningResourceConfig": preferences}


@click.command()
@options.with_account
@options.hyperparameters
@options.name
@click.option(
    "--tuning",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Objective and ranges. Default: tuning.json of the model package.",
)
@options.positive("--jobs", 20, "Number of training jobs.")
@options.positive("--parallel", 2, "Training jobs at the same time.")
@job_options
def tune(account: Account, hyperparameters: dict[str, str], name: str, **values: Any) -> None:
    """Search for good hyperparameters.

    Each HYPERPARAMETER=VALUE stays fixed. With --spot, interrupted jobs start over: SageMaker does not
    document whether the jobs of a tuning job share a checkpoint folder, so they write none.

    For example: python -m jobs tune epochs=5 --jobs 30
    """
    package, jobs = options.current_package(), values["jobs"]
    search = read_tuning(package, values["tuning"] or package.folder / "tuning.json", hyperparameters)
    limits = {"MaxNumberOfTrainingJobs": jobs, "MaxParallelTrainingJobs": min(values["parallel"], jobs)}
    shared = definition(account, values)

    def make_request(name: str, tags: list[dict[str, str]], types: list[str]) -> Request:
        return sagemaker(
            "CreateHyperParameterTuningJob",
            HyperParameterTuningJobName=name,
            HyperParameterTuningJobConfig={
                "Strategy": "Bayesian",
                **search,
                "ResourceLimits": limits,
                "TrainingJobEarlyStoppingType": "Auto",
                "RandomSeed": 1,
            },
            TrainingJobDefinition={
                "StaticHyperParameters": hyperparameters,
                **_resources(types, values),
                **shared,
            },
            Tags=tags,
        )

    click.echo(f"training jobs: {jobs}", err=True)
    description = fallback.run(account, TUNING, name, make_request, values)
    if description:
        best = description["BestTrainingJob"]
        for key, value in best["TunedHyperParameters"].items():
            click.echo(f"{key}={value}")
        click.echo(f"next: python -m jobs deploy {best['TrainingJobName']}", err=True)
