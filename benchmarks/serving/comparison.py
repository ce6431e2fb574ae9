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


def compare(ours: Sequence[Round], theirs: Sequence[Round]) -> dict[str, float | None]:
    """Medians, over the rounds, of ratios and differences of two servers.

    Returns:
        at concurrency 32 ``throughput_ratio`` (ours to theirs) and ``cpu_ratio`` (CPU time per answer, theirs
        to ours); at concurrency 1 ``p50_ms_behind`` (ours minus theirs).
    """
    pairs = list(zip(ours, theirs, strict=True))
    loaded = [(our[LOADED], their[LOADED]) for our, their in pairs]
    ratio = statistics.median(our.requests_per_second / their.requests_per_second for our, their in loaded)
    behind = statistics.median(our[IDLE].p50_ms - their[IDLE].p50_ms for our, their in pairs)
    costs = [(our.cpu_ms_per_answer, their.cpu_ms_per_answer) for our, their in loaded]
    cpu_ratios = [their / our for our, their in costs if our and their]
    return {
        "throughput_ratio": round(ratio, 2),
        "cpu_ratio": round(statistics.median(cpu_ratios), 2) if cpu_ratios else None,
        "p50_ms_behind": round(behind, 2),
    }
