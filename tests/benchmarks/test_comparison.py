"""Ratios of what was measured side by side."""

from benchmarks.serving.comparison import Round, collect, compare
from benchmarks.serving.wrk import Measurement


def measured(throughput: float, p50_ms: float, cpu_ms: float | None = 1.0) -> Measurement:
    return Measurement(throughput, p50_ms, 2 * p50_ms, 3 * p50_ms, {}, cpu_ms)


def one_round(alone_p50_ms: float, throughput: float, cpu_ms: float | None = 1.0) -> Round:
    return {1: measured(100.0, alone_p50_ms), 32: measured(throughput, 50.0, cpu_ms)}


def test_the_ratio_is_the_median_of_the_rounds_ratios() -> None:
    # 2, 4 and 3: a machine that is slow for a round is slow for both.
    ours = [one_round(1, 200), one_round(1, 40), one_round(1, 300)]
    toolkit = [one_round(1, 100), one_round(1, 10), one_round(1, 100)]
    assert (
        compare({"ours": ours, "toolkit": toolkit}, "ours", {"toolkit": 1.8})["toolkit"]["throughput_ratio"]
        == 3.0
    )


def test_latency_is_compared_without_other_requests() -> None:
    found = compare({"ours": [one_round(7.5, 1)], "fastapi": [one_round(6, 1)]}, "ours", {"fastapi": 1})
    assert found["fastapi"]["p50_ms_behind"] == 1.5


def test_cpu_time_is_compared() -> None:
    found = compare(
        {"ours": [one_round(1, 1, 2.0)], "fastapi": [one_round(1, 1, 5.0)]}, "ours", {"fastapi": 1}
    )
    assert found["fastapi"]["cpu_ratio"] == 2.5


def test_a_server_without_answers_has_no_cpu_ratio() -> None:
    found = compare({"ours": [one_round(1, 1)], "fastapi": [one_round(1, 1, None)]}, "ours", {"fastapi": 1})
    assert found["fastapi"]["cpu_ratio"] is None


def test_targets_depend_on_the_other_server() -> None:
    rounds = {name: [one_round(1, 100)] for name in ("toolkit", "torchserve")}
    least = {"toolkit": 1.8, "torchserve": 1.0}
    found = compare({"ours": [one_round(4, 150)], **rounds}, "ours", least)
    assert list(found["toolkit"]["reached"].values()) == [False, False]
    assert list(found["torchserve"]["reached"].values()) == [True, False]


def test_every_round_is_kept() -> None:
    kept = collect([one_round(1, 100), one_round(2, 200)])
    assert kept["32"]["requests_per_second"] == [100, 200]
    assert kept["1"]["p50_ms"] == [1, 2]
