"""What the README states about the code and about measurements is so."""

from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import pytest

from sentiment.hyperparameters import Hyperparameters, allowed

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("spec", fields(Hyperparameters), ids=lambda spec: spec.name)
def test_every_hyperparameter_has_its_row(spec: "Field[Any]") -> None:
    assert f"| `{spec.name}` | {spec.default} | {allowed(spec)} | {spec.metadata['help']} |" in README
