"""A tuning round on this machine: a tuning job's request, carried out by the real ``train`` program."""

import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import click

from jobs import ROOT
from jobs.train import Job

RESULTS = ROOT / "local_test" / "tuning"
RESOURCES = ROOT / "local_test" / "test_dir" / "input" / "config" / "resourceconfig.json"


class Result(NamedTuple):
    """One training run; the objective is None if it failed."""

    settings: dict[str, str]
    objective: float | None
    folder: Path


def job(reviews: Path) -> Job:
    """What takes the place of image, role and S3 in the request."""
    return Job(
        image="local",
        role="arn:aws:iam::000000000000:role/local",
        channels={"training": reviews.resolve().as_uri()},
        models=RESULTS.as_uri(),
    )


def run(name: str, request: Mapping[str, Any]) -> None:
    """Train with settings drawn at random from the ranges of the request, and print them, the best last.

    Raises:
        click.ClickException: there is no ``train`` program, the name is taken, or every run failed.
    """
    program = find_train()
    if (RESULTS / name).exists():
        raise click.ClickException(f"{RESULTS / name} is there already; choose another --name")
    config, definition = request["HyperParameterTuningJobConfig"], request["TrainingJobDefinition"]
    generator = random.Random(config["RandomSeed"])
    results = []
    try:
        for number in range(1, config["ResourceLimits"]["MaxNumberOfTrainingJobs"] + 1):
            settings = draw(config["ParameterRanges"], generator)
            result = train(program, RESULTS / name / f"{number:03}", settings, config, definition)
            results.append(result)
            click.echo(_line(result))
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
    _print_best(results, config["HyperParameterTuningJobObjective"])


def draw(ranges: Mapping[str, Any], generator: random.Random) -> dict[str, str]:
    """One value from each range, as SageMaker would send them."""
    return {
        **{
            entry["Name"]: f"{_scaled(entry, generator):.6g}" for entry in ranges["ContinuousParameterRanges"]
        },
        **{
            entry["Name"]: str(round(_scaled(entry, generator))) for entry in ranges["IntegerParameterRanges"]
        },
        **{
            entry["Name"]: generator.choice(entry["Values"]) for entry in ranges["CategoricalParameterRanges"]
        },
    }


def _scaled(entry: Mapping[str, str], generator: random.Random) -> float:
    """Evenly on the range's scale; Auto counts as Linear."""
    low, high = float(entry["MinValue"]), float(entry["MaxValue"])
    match entry.get("ScalingType"):
        case "Logarithmic":
            return math.exp(generator.uniform(math.log(low), math.log(high)))
        case "ReverseLogarithmic":  # for what lies just below 1
            return 1 - math.exp(generator.uniform(math.log(1 - low), math.log(1 - high)))
    return generator.uniform(low, high)


def find_train() -> Path:
    """The program of sagemaker-training, beside this Python or in .venv.

    Raises:
        click.ClickException: it is in neither.
    """
    for program in (Path(sys.executable).with_name("train"), ROOT / ".venv" / "bin" / "train"):
        if program.exists():
            return program
    raise click.ClickException(
        "the train program was not found; local_test/train_local.sh makes .venv with it"
    )


def train(
    program: Path,
    folder: Path,
    settings: dict[str, str],
    config: Mapping[str, Any],
    definition: Mapping[str, Any],
) -> Result:
    """One training run, in a folder laid out as /opt/ml."""
    objective = config["HyperParameterTuningJobObjective"]["MetricName"]
    values = definition["StaticHyperParameters"] | settings | {"_tuning_objective_metric": objective}
    _lay_out(folder, values, definition["InputDataConfig"])
    environment = {
        "PATH": os.pathsep.join([str(program.parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT / "code"),
        "PYTHONUNBUFFERED": "1",
        "SAGEMAKER_BASE_DIR": str(folder),
        "SAGEMAKER_TRAINING_MODULE": "train:main",
    }
    log = folder / "output" / "train.log"
    with log.open("w", encoding="utf-8") as stream:
        code = subprocess.run(
            [program], env=os.environ | environment, stdout=stream, stderr=subprocess.STDOUT, check=False
        ).returncode
    definitions = definition["AlgorithmSpecification"]["MetricDefinitions"]
    value = metrics(definitions, log.read_text("utf-8")).get(objective)
    return Result(settings, value if code == 0 else None, folder)


def _lay_out(folder: Path, values: dict[str, str], channels: list[dict[str, Any]]) -> None:
    config = folder / "input" / "config"
    data = folder / "input" / "data"
    for new in (config, data, folder / "model", folder / "output"):
        new.mkdir(parents=True)
    modes = {channel["ChannelName"]: {"TrainingInputMode": "File"} for channel in channels}
    (config / "hyperparameters.json").write_text(json.dumps(values), "utf-8")
    (config / "inputdataconfig.json").write_text(json.dumps(modes), "utf-8")
    shutil.copy(RESOURCES, config)
    for channel in channels:
        uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
        (data / channel["ChannelName"]).symlink_to(unquote(urlsplit(uri).path))


def metrics(definitions: list[dict[str, str]], log: str) -> dict[str, float]:
    """The last value of each metric that a log has, by SageMaker's metric definitions."""
    found = {entry["Name"]: re.findall(entry["Regex"], log) for entry in definitions}
    return {name: float(values[-1]) for name, values in found.items() if values}


def _line(result: Result) -> str:
    value = "failed  " if result.objective is None else f"{result.objective:.4f}  "
    return value + " ".join(f"{name}={value}" for name, value in result.settings.items())


def _print_best(results: list[Result], objective: Mapping[str, str]) -> None:
    """The best by the objective; what failed is told with its reason."""
    for result in results:
        if result.objective is None:
            failure = result.folder / "output" / "failure"
            reason = failure.read_text("utf-8").splitlines()[0] if failure.exists() else "no reason was left"
            click.echo(f"{result.folder / 'output' / 'train.log'}: {reason}", err=True)
    finished = [(result.objective, result) for result in results if result.objective is not None]
    if not finished:
        raise click.ClickException("no run gave a result")
    choose = max if objective["Type"] == "Maximize" else min
    _, best = choose(finished, key=lambda pair: pair[0])
    click.echo(f"best {objective['MetricName']}: {_line(best)}")
    click.echo(f"model: {best.folder / 'model'}", err=True)
