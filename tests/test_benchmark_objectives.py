"""What training against noise is worth, as quality.md tells it."""

import json

from benchmarks.quality_table import QUALITY
from benchmarks.report import RESULTS


def test_table_is_that_of_the_results() -> None:
    text = QUALITY.read_text("utf-8")
    results = json.loads((RESULTS / "objectives.json").read_text("utf-8"))["settings"]
    for setting, objectives in results.items():
        for name, of in objectives.items():
            losses = ", ".join(f"{loss:.3f}" for loss in of["validation_losses"])
            figures = f"{of['accuracy']:.1%} | {of['log_loss']:.3f} | {losses} | {of['seconds']} s"
            assert f"| {setting} | {name} | {figures} |\n" in text, name
