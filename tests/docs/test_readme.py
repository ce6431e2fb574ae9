"""The README is short, its links resolve, and its numbers are those of the benchmarks."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks.accuracy.tables import by_run_spec, format_figures, load_runs, on_common_folds

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "container" / "mms" / "README.md"])


def result(name: str) -> Any:
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text("utf-8"))


def test_readme_has_at_most_1800_words() -> None:
    assert len(README.split()) <= 1800


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_resolve(page: Path) -> None:
    links = re.findall(r"\]\(([^):#]+)(?:#([^)]*))?\)", page.read_text("utf-8"))
    assert [link for link, _ in links if not (page.parent / link).exists()] == []
    for link, heading in links:
        assert not heading or heading in _anchors(page.parent / link), f"{link}#{heading}"


def _anchors(page: Path) -> set[str]:
    """The fragments of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("run_spec", ["preset=best,pretrained", "preset=default", "NBSVM", "TF-IDF"])
def test_accuracies_on_common_folds(run_spec: str) -> None:
    accuracy, error, *_ = format_figures(by_run_spec(on_common_folds(load_runs()))[run_spec])
    assert f"| {accuracy} ± {error} |" in README


def test_speeds() -> None:
    serving = result("serving")["beside_ours"]
    fastapi, torchserve = (serving[name]["throughput_ratio"] for name in ("fastapi", "torchserve"))
    assert f"| {result('training')['fp32']['ratio']} times |" in README
    assert f"| {result('prediction')['http_ms']:.1f} ms |" in README
    assert f"| {fastapi}, {torchserve} times |" in README
