"""``tune``: run a tuning job."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from jobs import options, wait
from jobs.account import Account
from jobs.aws_request import sagemaker, send, show
from jobs.model_package import ModelPackage
from jobs.resources import TUNING
from jobs.train import capacity, definition, job_options

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
@click.option("--strategy", type=click.Choice(["Bayesian", "Random"]), default="Bayesian", show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Seed of the search.")
@job_options
@options.tags
@options.wait
@options.dry_run
def tune(account: Account, hyperparameters: dict[str, str], name: str, **values: Any) -> None:
    """Search for good hyperparameters.

    Each HYPERPARAMETER=VALUE stays fixed. With --spot, interrupted jobs start over: SageMaker does not
    document whether the jobs of a tuning job share a checkpoint folder, so they write none.

    For example: python -m jobs tune epochs=5 --jobs 30
    """
    package, jobs = options.current_package(), values["jobs"]
    search = read_tuning(package, values["tuning"] or package.folder / "tuning.json", hyperparameters)
    limits = {"MaxNumberOfTrainingJobs": jobs, "MaxParallelTrainingJobs": min(values["parallel"], jobs)}
    request = sagemaker(
        "CreateHyperParameterTuningJob",
        HyperParameterTuningJobName=name,
        HyperParameterTuningJobConfig={
            "Strategy": values["strategy"],
            **search,
            "ResourceLimits": limits,
            "TrainingJobEarlyStoppingType": "Auto",
            "RandomSeed": values["seed"],
        },
        TrainingJobDefinition={"StaticHyperParameters": hyperparameters, **definition(account, values)},
        Tags=values["tags"],
    )
    if values["dry_run"]:
        return show([request])
    click.echo(f"{name}: {jobs} jobs, each on {capacity(values)}", err=True)
    description = wait.run(account, TUNING, name, lambda: send(account, request), watch=values["wait"])
    if description:
        best = description["BestTrainingJob"]
        for key, value in best["TunedHyperParameters"].items():
            click.echo(f"{key}={value}")
        click.echo(f"next: python -m jobs deploy {best['TrainingJobName']}", err=True)
    return None
