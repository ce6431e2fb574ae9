"""Ratios of the servers' measurements."""

from benchmarks.serving.comparison import Round, collect, compare
from benchmarks.serving.load import Measurement


def measurement(throughput: float, p50_ms: float) -> Measurement:
    return Measurement(throughput, p50_ms, 2 * p50_ms, 3 * p50_ms, {})


def one_round(idle_p50_ms: float, throughput: float) -> Round:
    return {1: measurement(100.0, idle_p50_ms), 32: measurement(throughput, 50.0)}


def test_ratio_is_the_median_over_rounds() -> None:
    # 2, 4 and 3: a slow machine slows down both servers of a round.
    ours = [one_round(1, 200), one_round(1, 40), one_round(1, 300)]
    theirs = [one_round(1, 100), one_round(1, 10), one_round(1, 100)]
    assert compare(ours, theirs)["throughput_ratio"] == 3.0


def test_latency_is_compared_when_idle() -> None:
    assert compare([one_round(7.5, 1)], [one_round(6, 1)])["p50_ms_behind"] == 1.5


def test_collect_keeps_every_round() -> None:
    figures = collect([one_round(1, 100), one_round(2, 200)])
    assert figures["32"]["requests_per_second"] == [100, 200]
    assert figures["1"]["p50_ms"] == [1, 2]
