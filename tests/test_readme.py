"""What the README states about the code and about measurements is so."""

from dataclasses import fields
from pathlib import Path

import pytest

from sentiment.hyperparameters import Hyperparameters, allowed

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
RESULTS = ROOT / "benchmarks" / "results"


@pytest.mark.parametrize("spec", fields(Hyperparameters), ids=lambda spec: spec.name)
def test_every_hyperparameter_has_its_row(spec: object) -> None:
    row = f"| `{spec.name}` | {spec.default} | {allowed(spec)} | {spec.metadata['help']} |"  # type: ignore[attr-defined]
    assert row in README
