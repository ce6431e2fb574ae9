"""A run specification: hyperparameters that begin with a preset, as in ``preset=best,epochs=2``."""

import argparse

from byoc.errors import HyperparameterError
from byoc.hyperparameters import parse_hyperparameters
from sentiment.hyperparameters import Hyperparameters


def parse_run_spec(text: str) -> dict[str, str]:
    """Values by hyperparameter."""
    return {name: value for name, _, value in (pair.partition("=") for pair in text.split(","))}


def run_spec(text: str) -> str:
    """The text unchanged, as a type for ``argparse``, so that a mistake is found before hours of training.

    Raises:
        argparse.ArgumentTypeError: the text is not a run specification.
    """
    if not text.startswith("preset="):
        raise argparse.ArgumentTypeError(f"{text!r} does not begin with preset=; write preset=default,...")
    try:
        parse_hyperparameters(Hyperparameters, parse_run_spec(text))
    except HyperparameterError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None
    return text
