"""From requests at a constant rate to what is reported: errors, latency and memory by the minute, kills."""

import statistics
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from benchmarks.serving.constant_rate import Request

# The requests that a worker has at a time, unless SERVE_BATCH_SIZE says otherwise.
BATCH_SIZE = 16


class Kill(NamedTuple):
    """A worker was killed, and then was gone: both in seconds since 1970."""

    sent: float
    gone: float


def summarize(requests: Sequence[Request], memory: Sequence[int]) -> dict[str, Any]:
    """Errors by kind, and by the minute the p99 in milliseconds and the memory in MiB.

    Args:
        requests: in the order in which they were due; at least one.
        memory: bytes, one sample a minute.
    """
    minutes: dict[int, list[float]] = {}
    for request in requests:
        minutes.setdefault(int((request.due - requests[0].due) // 60), []).append(request.latency)
    p99 = [round(percentile(latencies, 99) * 1000, 1) for latencies in minutes.values()]
    mib = [size // 2**20 for size in memory]
    return {
        "requests": len(requests),
        "errors": dict(Counter(request.outcome for request in requests if request.failed)),
        "p99_ms_by_minute": p99,
        "p99_ms_growth": growth(p99),
        "memory_mib_by_minute": mib,
        "memory_mib_growth": growth(mib),
    }


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest of the values that at least so many percent of them do not exceed."""
    rank = -(-len(values) * percent // 100)
    return sorted(values)[max(rank, 1) - 1]


def growth(series: Sequence[float]) -> float | None:
    """By how much the last third's median is above the middle third's; None where there are no thirds.

    The first third does not count: memory fills up, and Java compiles what runs often.
    """
    third = len(series) // 3
    if not third:
        return None
    return round(statistics.median(series[-third:]) - statistics.median(series[third : 2 * third]), 1)


def summarize_kills(requests: Sequence[Request], kills: Sequence[Kill]) -> dict[str, Any]:
    """What the kills cost. A request that fails counts for the last kill before it did.

    A request that was due when that worker was gone was not on it.

    Args:
        requests: all of them.
        kills: in the order of time.
    """
    sent, gone = [kill.sent for kill in kills], [kill.gone for kill in kills]
    failed, in_flight = [0] * len(kills), [0] * len(kills)
    due_later = before_any = 0
    for request in requests:
        for i in range(bisect_left(gone, request.due), bisect_left(sent, request.ended)):
            in_flight[i] += 1
        if request.failed:
            last = bisect_right(sent, request.ended) - 1
            if last < 0:
                before_any += 1
            else:
                failed[last] += 1
                due_later += request.due > gone[last]
    return {
        "kills": len(kills),
        "in_flight_by_kill": in_flight,
        "failed_by_kill": failed,
        "failed_though_due_after_the_kill": due_later,
        "failed_before_any_kill": before_any,
        "only_those_in_flight_failed": not due_later
        and not before_any
        and all(count <= min(BATCH_SIZE, most) for count, most in zip(failed, in_flight, strict=True)),
    }
