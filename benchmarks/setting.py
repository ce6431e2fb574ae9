"""A setting to measure: ``recipe=best,epochs=2``, hyperparameters that begin with a recipe."""

import argparse

from byoc.errors import HyperparameterError
from sentiment.hyperparameters import Hyperparameters


def checked(text: str) -> str:
    """The text, for ``argparse``: so that a mistake is told before hours of other settings.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not text.startswith("recipe="):
        raise argparse.ArgumentTypeError(f"{text!r} does not begin with recipe=; write recipe=default,...")
    try:
        parse(text)
    except (ValueError, HyperparameterError) as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None
    return text


def parse(text: str) -> dict[str, str]:
    """Hyperparameters by name.

    Raises:
        ValueError: a part has no ``=``.
        HyperparameterError: an unknown name, or a value that is not allowed.
    """
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(equals for _, equals, _ in pairs):
        raise ValueError("expected name=value,name=value")
    values = {name: value for name, _, value in pairs}
    Hyperparameters.parse(values)
    return values
