"""Ratios of the servers' measurements."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.serving.load import Measurement

Round = Mapping[int, Measurement]  # by concurrency

# The compared concurrencies.
IDLE, LOADED = 1, 32


def collect(rounds: Sequence[Round]) -> dict[str, dict[str, list[Any]]]:
    """Every figure of a server, by concurrency and name: one value per round."""
    return {
        str(concurrency): {
            name: [asdict(results[concurrency])[name] for results in rounds]
            for name in asdict(rounds[0][concurrency])
        }
        for concurrency in rounds[0]
    }


def compare(ours: Sequence[Round], theirs: Sequence[Round]) -> dict[str, float]:
    """Medians, over the rounds, of ratios and differences of two servers.

    Returns:
        ``throughput_ratio`` (ours to theirs) at concurrency 32; ``p50_ms_behind`` (ours minus theirs) at 1.
    """
    pairs = list(zip(ours, theirs, strict=True))
    ratio = statistics.median(
        our[LOADED].requests_per_second / their[LOADED].requests_per_second for our, their in pairs
    )
    behind = statistics.median(our[IDLE].p50_ms - their[IDLE].p50_ms for our, their in pairs)
    return {"throughput_ratio": round(ratio, 2), "p50_ms_behind": round(behind, 2)}
