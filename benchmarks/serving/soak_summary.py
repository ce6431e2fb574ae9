"""Summary of a soak: errors, latency and memory by the minute, and the cost of killed workers."""

import statistics
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.serving.load import Request

# Requests that a worker processes at a time, unless SERVE_BATCH_SIZE changes it.
BATCH_SIZE = 16


class Kill(NamedTuple):
    """Times at which a worker was killed and had disappeared, in seconds since 1970."""

    sent: float
    gone: float


def summarize(requests: Sequence[Request], memory: Sequence[int]) -> dict[str, Any]:
    """Errors by outcome; p99 in milliseconds and memory in MiB by the minute.

    Args:
        requests: by due time; at least one.
        memory: bytes, one sample per minute.
    """
    minutes: dict[int, list[float]] = {}
    for request in requests:
        minutes.setdefault(int((request.due - requests[0].due) // 60), []).append(request.latency)
    p99 = [round(float(np.percentile(latencies, 99)) * 1000, 1) for latencies in minutes.values()]
    mib = [size // 2**20 for size in memory]
    return {
        "requests": len(requests),
        "errors": dict(Counter(request.outcome for request in requests if request.failed)),
        "p99_ms_by_minute": p99,
        "p99_ms_growth": growth(p99),
        "memory_mib_by_minute": mib,
        "memory_mib_growth": growth(mib),
    }


def growth(series: Sequence[float]) -> float | None:
    """Median of the last third minus median of the middle third; None for fewer than three values.

    The first third does not count: memory fills up, and Java compiles frequent code.
    """
    third = len(series) // 3
    if not third:
        return None
    return round(statistics.median(series[-third:]) - statistics.median(series[third : 2 * third]), 1)


def summarize_kills(requests: Sequence[Request], kills: Sequence[Kill]) -> dict[str, Any]:
    """Failed requests by kill; each counts for the last kill before its failure.

    A request that was due after the killed worker had disappeared was not on that worker. The kills are in
    order of time.
    """
    in_flight = [sum(r.due <= kill.gone and kill.sent < r.ended for r in requests) for kill in kills]
    failed = [0] * len(kills)
    due_later = before_any = 0
    for request in (request for request in requests if request.failed):
        last = bisect_right(kills, request.ended, key=lambda kill: kill.sent) - 1
        if last < 0:
            before_any += 1
        else:
            failed[last] += 1
            due_later += request.due > kills[last].gone
    return {
        "kills": len(kills),
        "in_flight_by_kill": in_flight,
        "failed_by_kill": failed,
        "failed_though_due_after_the_kill": due_later,
        "failed_before_any_kill": before_any,
        "only_those_in_flight_failed": not due_later
        and not before_any
        and all(count <= min(BATCH_SIZE, limit) for count, limit in zip(failed, in_flight, strict=True)),
    }
