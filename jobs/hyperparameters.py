"""NAME=VALUE on the command line to hyperparameters as SageMaker takes them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import click

from sentiment.hyperparameters import Hyperparameters

# Sent even where nobody gave them, so that the console shows them.
_ALWAYS = ("epochs", "hidden_dim")


def parse(arguments: Sequence[str]) -> dict[str, str]:
    """Names and values, checked as the job itself will check them.

    Raises:
        click.UsageError: an argument is not NAME=VALUE, or a name is given twice.
        byoc.errors.HyperparameterError: naming every unknown name and impossible value.
    """
    given: dict[str, str] = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        name = name.replace("-", "_")
        if not (name and equals):
            raise click.UsageError(f"expected NAME=VALUE, found {argument}; for example epochs=3")
        if name in given:
            raise click.UsageError(f"{name} is given twice")
        given[name] = value
    Hyperparameters.parse(given)
    return given


def with_defaults(given: Mapping[str, str]) -> dict[str, str]:
    """What a job is sent: what was given, and the most important of the rest, as the recipe has it."""
    values = asdict(Hyperparameters.parse(given))
    return {name: str(values[name]) for name in _ALWAYS} | dict(given)
