"""docs/benchmarks.md has the numbers of the committed results."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.accuracy.tables import by_run_spec, format_figures, load_runs, on_common_folds, on_first_fold

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
RESULTS = ROOT / "benchmarks" / "results"


def result(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
    return content


def test_numbers_are_those_of_the_benchmarks() -> None:
    training = result("training")
    for figure in (
        f"{result('preprocessing')['ratio']} times",
        f"{training['fp32']['ratio']} times",
        f"{training['bf16']['ratio']} times",
        f"{result('memory')['peak_memory_mib']} MiB",
        f"{result('serverless')['peak_memory_mib_max']} MiB",
        f"{result('serverless')['cold_start_seconds_median']} s",
    ):
        assert f"{figure} |" in PAGE, figure


def test_accuracy_of_baseline_on_first_fold() -> None:
    accuracy, *_ = format_figures(by_run_spec(on_first_fold(load_runs()))["preset=baseline"])
    assert f"`preset=baseline` has {accuracy}" in PAGE


@pytest.mark.parametrize("run_spec", ["preset=best,pretrained", "preset=default", "TF-IDF", "NBSVM"])
def test_accuracies_on_common_folds(run_spec: str) -> None:
    accuracy, error, calibration, _ = format_figures(by_run_spec(on_common_folds(load_runs()))[run_spec])
    assert f"| {accuracy} | {error} | {calibration} |\n" in PAGE


def test_times_of_prediction() -> None:
    found = result("prediction")
    fp32, bf16 = (found[precision]["threads=1"] for precision in ("fp32", "bf16"))
    one = f"{fp32['network_ms']:.1f} ms, {fp32['predictor_ms']:.1f} ms, {found['http_ms']:.1f} ms"
    many = f"{fp32['reviews_per_second_in_batches']}, {bf16['reviews_per_second_in_batches']}"
    assert f"| {one} |" in PAGE
    assert f"| {many} |" in PAGE


@pytest.mark.parametrize("server", ["toolkit", "fastapi", "torchserve"])
def test_numbers_of_serving(server: str) -> None:
    beside = result("serving")["beside_ours"][server]
    assert f"| {beside['throughput_ratio']} times |" in PAGE
    assert f"| {beside['p50_ms_behind']} ms |" in PAGE


def test_numbers_of_serving_in_bf16() -> None:
    beside = result("serving")["beside_ours_bf16"]
    ratios = [str(beside[server]["throughput_ratio"]) for server in ("toolkit", "fastapi", "torchserve")]
    assert f"| {', '.join(ratios)} times |" in PAGE


def test_numbers_of_the_replacement() -> None:
    page = (ROOT / "docs" / "decisions" / "model-server-replacement.md").read_text("utf-8")
    figures = result("serving-uvicorn")
    for ours in ("ours", "ours_bf16"):
        compared = figures[f"beside_{ours}"]["uvicorn"]
        assert f"| {compared['throughput_ratio']} times | {compared['p50_ms_behind']} ms |" in page
    assert f"load average of {figures['load_average_before']}" in page


@pytest.mark.parametrize("case", ["oversubscribed by a second training", "shared with one busy loop", "idle"])
def test_rates_by_spinning(case: str) -> None:
    rates = result("threads")["reviews_per_second"]
    settings = ("default", "passive", "1 thread")
    default, passive, single = (rates[f"training, {case}, {setting}"] for setting in settings)
    spins = rates[f"training, {case}, spins 1000"]
    assert f"| {default}, {spins}, {passive}, {single} | `benchmarks/run.sh threads` |" in PAGE


def test_rates_of_two_busy_models() -> None:
    rates = result("threads")["reviews_per_second"]
    two, one = (rates[f"predictions, 2 busy models, {setting}"] for setting in ("2 threads", "1 thread"))
    assert f"| {two}, {one} | `benchmarks/run.sh threads` |" in PAGE


def test_numbers_of_serverless_endpoint() -> None:
    found = result("serverless")
    assert f"| {found['peak_memory_mib_max']} MiB | `benchmarks/run.sh serverless` |" in PAGE
    assert f"| {found['cold_start_seconds_median']} s | `benchmarks/run.sh serverless` |" in PAGE
    worker = max(max(each["processes_mib"]["model_service_worker"]) for each in found["rounds"])
    assert f"the serverless endpoint takes {worker} MiB" in PAGE


def test_numbers_of_soak() -> None:
    steady, kills = result("soak")["steady"], result("soak")["kills"]
    assert kills["only_those_in_flight_failed"]
    for part in (steady, kills):
        assert f"| {sum(part['errors'].values())} of {part['requests']} |" in PAGE
    assert f"| {steady['memory_mib_growth']} MiB |" in PAGE
    assert f"| {steady['p99_ms_growth']} ms |" in PAGE
    p99 = steady["p99_ms_by_minute"]
    assert f"{min(p99):.0f} to {max(p99):.0f} ms" in PAGE
    memory = kills["memory_mib_by_minute"]
    assert f"{memory[-1] - memory[0]} MiB in {kills['kills']} kills" in PAGE


def test_machine_is_that_of_the_benchmarks() -> None:
    others = [path for path in RESULTS.glob("*.json") if path.stem != "accuracy"]  # accuracy.json has many
    processors = {result(path.stem)["processor"] for path in others} | {
        run["processor"] for run in load_runs()
    }
    assert all(processor in PAGE for processor in processors)
