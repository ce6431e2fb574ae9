"""What training against noise is worth: how it is measured, and what quality.md tells of it."""

import json
from pathlib import Path

from benchmarks.objectives import train
from benchmarks.quality_table import QUALITY
from benchmarks.report import RESULTS
from tests.conftest import make_base

REVIEWS = [(f"film{i} good" if i % 2 else f"film{i} bad", str(i % 2)) for i in range(64)]
SETTING = "recipe=seed,epochs=4,hidden_dim=8,embedding_dim=8"
QUICK = "batch_size=8,learning_rate=0.02,precision=fp32"


def test_objectives_differ_in_what_is_learned(tmp_path: Path) -> None:
    base = make_base(tmp_path, {}, training=REVIEWS, validation=REVIEWS[:20])
    alone, again, noise = (train(base, f"{SETTING},{QUICK}", terms) for terms in ((), (), ("adversarial",)))
    assert alone["validation_losses"] == again["validation_losses"] != noise["validation_losses"]
    assert len(alone["validation_losses"]) == 4
    assert alone["accuracy"] == 1


def test_table_is_that_of_the_results() -> None:
    text = QUALITY.read_text("utf-8")
    results = json.loads((RESULTS / "objectives.json").read_text("utf-8"))["settings"]
    for setting, objectives in results.items():
        for name, of in objectives.items():
            losses = ", ".join(f"{loss:.3f}" for loss in of["validation_losses"])
            figures = f"{of['accuracy']:.1%} | {of['log_loss']:.3f} | {losses} | {of['seconds']} s"
            assert f"| {setting} | {name} | {figures} |\n" in text, name
