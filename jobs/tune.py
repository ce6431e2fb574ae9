"""``tune``: a tuning job."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from jobs import ROOT, hyperparameters, options, wait
from jobs.account import Account
from jobs.aws_request import Request, send, show
from jobs.resources import TUNING
from jobs.train import METRICS, Job, algorithm, definition, find_job, job_options
from sentiment.hyperparameters import Hyperparameters

TUNING_FILE = ROOT / "jobs" / "tuning.json"
RANGES = ("ContinuousParameterRanges", "IntegerParameterRanges", "CategoricalParameterRanges")


def read_tuning(path: Path, fixed: Mapping[str, str]) -> dict[str, Any]:
    """Objective and ranges of a file, without those whose value is fixed.

    Raises:
        click.ClickException: the file is not as ``tuning.json`` is, or leaves nothing to tune.
        byoc.errors.HyperparameterError: a range has values that a job would refuse.
    """
    try:
        tuning: dict[str, Any] = json.loads(path.read_text("utf-8"))
        ranges = {
            kind: [entry for entry in tuning["ParameterRanges"].get(kind, []) if entry["Name"] not in fixed]
            for kind in RANGES
        }
        entries = [entry for kind in RANGES for entry in ranges[kind]]
        for entry in entries:
            for value in entry["Values"] if "Values" in entry else (entry["MinValue"], entry["MaxValue"]):
                Hyperparameters.parse({entry["Name"]: value})
        objective = tuning["HyperParameterTuningJobObjective"]
        if objective["MetricName"] not in [metric["Name"] for metric in METRICS]:
            raise ValueError(f"there is no metric {objective['MetricName']} in jobs/metrics.json")
    except (ValueError, KeyError, TypeError) as error:
        raise click.ClickException(f"{path}: {error!r}; expected what {TUNING_FILE} has") from error
    if not entries:
        raise click.ClickException("nothing is left to tune: every hyperparameter has a value")
    return {"HyperParameterTuningJobObjective": objective, "ParameterRanges": ranges}


def request(
    name: str, job: Job, tuning: Mapping[str, Any], fixed: Mapping[str, str], settings: Mapping[str, Any]
) -> Request:
    """What starts a tuning job.

    Args:
        name: of the tuning job.
        job: what its training jobs are told.
        tuning: what ``read_tuning`` returned.
        fixed: hyperparameters that all training jobs share.
        settings: ``strategy``, ``jobs``, ``parallel``, ``seed`` and ``tags``.
    """
    parameters = {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": settings["strategy"],
            **tuning,
            "ResourceLimits": {
                "MaxNumberOfTrainingJobs": settings["jobs"],
                "MaxParallelTrainingJobs": min(settings["parallel"], settings["jobs"]),
            },
            "TrainingJobEarlyStoppingType": "Auto",
            "RandomSeed": settings["seed"],
        },
        "TrainingJobDefinition": {
            "AlgorithmSpecification": algorithm(job),
            "StaticHyperParameters": dict(fixed),
            **definition(job),
        },
        "Tags": settings["tags"],
    }
    return Request("sagemaker", "CreateHyperParameterTuningJob", parameters)


@click.command()
@options.with_account
@click.argument("values", nargs=-1, metavar="[HYPERPARAMETER=VALUE]...")
@options.name
@click.option(
    "--tuning",
    "tuning_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=TUNING_FILE,
    help="Objective and ranges. Default: jobs/tuning.json.",
)
@click.option("--jobs", type=click.IntRange(1), default=20, show_default=True, help="Training jobs in all.")
@click.option("--parallel", type=click.IntRange(1), default=2, show_default=True, help="At the same time.")
@click.option("--strategy", type=click.Choice(["Bayesian", "Random"]), default="Bayesian", show_default=True)
@click.option(
    "--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the choice of settings."
)
@job_options
@options.tags
@options.wait
@options.dry_run
def tune(account: Account, values: tuple[str, ...], name: str, **others: Any) -> None:
    """Search for good hyperparameters.

    Those given as HYPERPARAMETER=VALUE stay fixed. With --spot an interrupted job begins anew: SageMaker does
    not say whether the jobs would share their checkpoints, and so they have none.

    For example: python -m jobs tune epochs=5 --jobs 30
    """
    dry_run, watch, tuning_file = others.pop("dry_run"), others.pop("wait"), others.pop("tuning_file")
    settings = {key: others.pop(key) for key in ("strategy", "jobs", "parallel", "seed", "tags")}
    given = hyperparameters.parse(values)
    tuning = read_tuning(tuning_file, given)
    tuned = {entry["Name"] for kind in RANGES for entry in tuning["ParameterRanges"][kind]}
    fixed = {key: value for key, value in hyperparameters.with_defaults(given).items() if key not in tuned}
    job = find_job(account, others)
    start = request(name, job, tuning, fixed, settings)
    if dry_run:
        return show([start])
    click.echo(
        f"{name}: {settings['jobs']} jobs of {job.instance_count} x {job.instance_type}, "
        f"each for at most {job.max_minutes} minutes",
        err=True,
    )
    description = wait.run(account, TUNING, name, lambda: send(account, start), watch=watch)
    if description:
        best = description["BestTrainingJob"]
        for key, value in best["TunedHyperParameters"].items():
            click.echo(f"{key}={value}")
        click.echo(f"next: python -m jobs deploy {best['TrainingJobName']}", err=True)
    return None
