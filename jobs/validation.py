"""Checks of requests: botocore's service models, and the documented rules that the models lack."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any

import botocore.session
import click
from botocore.validate import ParamValidator

# CreateTransformJob and StoppingCondition in the API reference.
TRANSFORM_MB = 100
MAX_RUN_SECONDS = 28 * 86_400
# https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-limits.html, after an increase
TUNING_JOBS = {"Random": 10_000}
TUNING_LIMITS = {"jobs": 750, "parallel jobs": 100, "hyperparameters": 30, "values of a hyperparameter": 30}
# Java's classes of characters, as far as Python has them.
CLASSES = {r"\p{L}": r"\w", r"\p{M}": r"\w", r"\p{N}": r"\w", r"\p{Z}": r"\s"}


class InvalidRequestError(click.ClickException):
    """A request is invalid; the message names every fault."""


@cache
def input_shape(service: str, operation: str) -> Any:
    """The model of an operation's parameters."""
    model = botocore.session.get_session().get_service_model(service)
    return model.operation_model(operation).input_shape


def check(service: str, operation: str, parameters: Mapping[str, Any]) -> None:
    """Refuse a request that AWS would refuse without looking at the account.

    Raises:
        InvalidRequestError: names every fault.
    """
    shape = input_shape(service, operation)
    report = ParamValidator().validate(parameters, shape)
    faults = [report.generate_report()] if report.has_errors() else []
    # The other checks rely on correct types.
    faults = faults or [*_constraint_faults(shape, parameters, ""), *_rule_faults(operation, parameters)]
    if faults:
        raise InvalidRequestError("\n".join([f"invalid request {operation}:", *faults]))


def _constraint_faults(shape: Any, value: Any, path: str) -> Iterator[str]:
    """Violated maxima, enumerations and patterns, which botocore leaves to the service."""
    maximum, is_number = shape.metadata.get("max"), isinstance(value, int | float)
    if maximum is not None and (value if is_number else len(value)) > maximum:
        yield f"{path}: {value} exceeds {maximum}" if is_number else f"{path}: the length exceeds {maximum}"
    elif shape.type_name == "string":
        yield from _text_faults(shape, value, path)
    elif shape.type_name == "structure":
        for name, member in value.items():
            yield from _constraint_faults(shape.members[name], member, f"{path}.{name}".lstrip("."))
    elif shape.type_name == "list":
        for index, member in enumerate(value):
            yield from _constraint_faults(shape.member, member, f"{path}.{index}")
    elif shape.type_name == "map":
        for name, member in value.items():
            yield from _text_faults(shape.key, name, f"{path}, key {name}")
            yield from _constraint_faults(shape.value, member, f"{path}.{name}")


def _text_faults(shape: Any, value: str, path: str) -> Iterator[str]:
    if shape.enum and value not in shape.enum:
        nearest = ", ".join(get_close_matches(value, shape.enum) or shape.enum[:8])
        yield f"{path}: {value} is not among the values of boto3 {botocore.__version__}, such as {nearest}"
    pattern = compile_java(shape.metadata.get("pattern", ".*"))
    if pattern and not pattern.fullmatch(value):
        yield f"{path}: {value} does not match {pattern.pattern}"


@cache
def compile_java(pattern: str) -> re.Pattern[str] | None:
    """A pattern in Java's syntax; None where Python has no equivalent."""
    for java, python in CLASSES.items():
        pattern = pattern.replace(java, python)
    try:
        return re.compile(re.sub(r"\$\{[\d,]+\}", "", pattern), re.DOTALL)
    except re.error:
        return None


def _rule_faults(operation: str, parameters: Mapping[str, Any]) -> Iterator[str]:
    """Violated rules of the documentation that the service model lacks."""
    yield from _tag_faults(parameters)
    for variant in parameters.get("ProductionVariants", ()):
        if variant.get("ServerlessConfig", {}).get("MemorySizeInMB", 0) % 1024:
            yield "MemorySizeInMB: serverless endpoints have 1024, 2048, 3072, 4096, 5120 or 6144 MB"
    if operation == "CreateTransformJob":
        megabytes = parameters.get("MaxConcurrentTransforms", 1) * parameters.get("MaxPayloadInMB", 6)
        if megabytes > TRANSFORM_MB:
            yield f"MaxConcurrentTransforms x MaxPayloadInMB is {megabytes}; at most {TRANSFORM_MB} allowed"
    if operation == "CreateTrainingJob":
        yield from _job_faults(parameters)
    if operation == "CreateHyperParameterTuningJob":
        single, several = (parameters.get(f"TrainingJobDefinition{s}") for s in ("", "s"))
        for definition in several or [single or {}]:
            yield from _job_faults(definition)
        yield from _tuning_faults(parameters["HyperParameterTuningJobConfig"])


def _tag_faults(parameters: Mapping[str, Any]) -> Iterator[str]:
    for key, count in Counter(tag["Key"] for tag in parameters.get("Tags", ()) if "Key" in tag).items():
        if count > 1:
            yield f"Tags: the key {key} is set {count} times"
        if key.lower().startswith("aws:"):
            yield f"Tags: the key {key} begins with aws:, which is reserved for AWS"


def _job_faults(definition: Mapping[str, Any]) -> Iterator[str]:
    resources, stopping = definition.get("ResourceConfig", {}), definition.get("StoppingCondition", {})
    run, spot = stopping.get("MaxRuntimeInSeconds", 0), definition.get("EnableManagedSpotTraining")
    if run > MAX_RUN_SECONDS:
        yield f"MaxRuntimeInSeconds: at most {MAX_RUN_SECONDS} (28 days) allowed"
    if spot and stopping.get("MaxWaitTimeInSeconds", 0) < run:
        yield "MaxWaitTimeInSeconds includes the run; set at least MaxRuntimeInSeconds"
    if "MaxWaitTimeInSeconds" in stopping and not spot:
        yield "MaxWaitTimeInSeconds needs EnableManagedSpotTraining"
    chosen = [name for name in ("InstanceType", "InstanceGroups", "InstancePreferences") if name in resources]
    if len(chosen) > 1:
        yield f"ResourceConfig: {' and '.join(chosen)} exclude each other"
    if "InstancePreferences" in chosen and spot:
        yield "ResourceConfig.InstancePreferences excludes EnableManagedSpotTraining"


def _tuning_faults(config: Mapping[str, Any]) -> Iterator[str]:
    limits, ranges = config["ResourceLimits"], config.get("ParameterRanges", {})
    categorical = ranges.get("CategoricalParameterRanges", ())
    counts = {
        "jobs": limits.get("MaxNumberOfTrainingJobs", 0),
        "parallel jobs": limits["MaxParallelTrainingJobs"],
        "hyperparameters": sum(map(len, ranges.values())),
        "values of a hyperparameter": max((len(entry["Values"]) for entry in categorical), default=0),
    }
    for name, limit in (TUNING_LIMITS | {"jobs": TUNING_JOBS.get(config["Strategy"], 750)}).items():
        if counts[name] > limit:
            yield f"{counts[name]} {name}; a tuning job has at most {limit}"
