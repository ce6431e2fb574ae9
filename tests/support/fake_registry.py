"""A registry of models over a fake model server."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from serving.model_registry import ModelError, ModelRegistry
from tests.support.unix_http import Request, Response

MULTI_MODEL = {"SAGEMAKER_MULTI_MODEL": "true"}


class Fake(NamedTuple):
    """A registry with a fake server, the requests to it, and its answer to each method."""

    models: ModelRegistry
    folder: Path
    asked: list[Request]
    answers: dict[str, Callable[[], Response | None]]


def refused(action: Callable[[], object]) -> tuple[int, str]:
    """Status and reason of a refusal."""
    with pytest.raises(ModelError) as caught:
        action()
    return caught.value.status, str(caught.value)


def names(fake: Fake) -> list[str]:
    return [model.name for model in fake.models.all()]
