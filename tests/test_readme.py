"""What the README states about the code and about measurements is so."""

import json
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import pytest

from sentiment.hyperparameters import Hyperparameters, allowed

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
RESULTS = ROOT / "benchmarks" / "results"


@pytest.mark.parametrize("spec", fields(Hyperparameters), ids=lambda spec: spec.name)
def test_every_hyperparameter_has_its_row(spec: "Field[Any]") -> None:
    assert f"| `{spec.name}` | {spec.default} | {allowed(spec)} | {spec.metadata['help']} |" in README


def result(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
    return content


def test_numbers_are_those_of_the_benchmarks() -> None:
    quality, training = result("quality"), result("training")
    default, baseline = quality["default"], quality["tfidf_logistic_regression"]
    for figure in (
        f"{result('preprocessing')['ratio']} times as fast",
        f"{training['fp32']['ratio']} times as fast",
        f"{default['validation']['accuracy']:.1%}",
        f"{baseline['validation']['accuracy']:.1%}",
        f"± {quality['standard_error']:.1%}",
        f"{default['seconds'] / 60:.0f} minutes",
        f"{result('memory')['peak_memory_mib']} MiB",
    ):
        assert f"{figure} |" in README, figure


def test_machine_is_that_of_the_benchmarks() -> None:
    processors = {result(path.stem)["processor"] for path in RESULTS.glob("*.json")}
    assert all(processor in README for processor in processors)
