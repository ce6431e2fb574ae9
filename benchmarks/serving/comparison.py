"""From the rounds' measurements to what is reported: ratios side by side, and which targets they reach."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.serving.wrk import Measurement

# By concurrency.
Round = Mapping[int, Measurement]
# By the server's name: its rounds, in which the servers took turns.
Rounds = Mapping[str, Sequence[Round]]

# The concurrencies at which servers are compared.
ALONE, LOADED = 1, 32
# The throughput of ours in units of each other server's; in bf16 more is expected.
LEAST_RATIO = {"toolkit": 1.8, "torchserve": 1.0, "fastapi": 1.0}
LEAST_RATIO_BF16 = {"toolkit": 2.5, "torchserve": 1.0, "fastapi": 1.0}
MOST_MS_BEHIND = 2.0


def collect(rounds: Sequence[Round]) -> dict[str, dict[str, list[Any]]]:
    """Every figure of a server: by concurrency and name, one for each round."""
    return {
        str(concurrency): {
            name: [asdict(one[concurrency])[name] for one in rounds]
            for name in asdict(rounds[0][concurrency])
        }
        for concurrency in rounds[0]
    }


def compare(rounds: Rounds, ours: str, least_ratio: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    """Ours beside other servers: the medians of the rounds' ratios and differences.

    Args:
        rounds: of all servers.
        ours: the name of what is compared with the others.
        least_ratio: the others' names, and which ``throughput_ratio`` to them is the target.

    Returns:
        for each other server ``throughput_ratio`` and ``cpu_ratio`` (what an answer costs the other, in
        units of what it costs ours), both at concurrency 32; ``p50_ms_behind`` at concurrency 1; and
        whether the targets are ``reached``.
    """
    return {name: _compare(rounds[ours], rounds[name], least) for name, least in least_ratio.items()}


def _compare(ours: Sequence[Round], others: Sequence[Round], least: float) -> dict[str, Any]:
    pairs = list(zip(ours, others, strict=True))
    ratio = statistics.median(
        own[LOADED].requests_per_second / other[LOADED].requests_per_second for own, other in pairs
    )
    behind = statistics.median(own[ALONE].p50_ms - other[ALONE].p50_ms for own, other in pairs)
    costs = [(own[LOADED].cpu_ms_per_answer, other[LOADED].cpu_ms_per_answer) for own, other in pairs]
    cpu_ratios = [other / own for own, other in costs if own and other]
    return {
        "throughput_ratio": round(ratio, 2),
        "cpu_ratio": round(statistics.median(cpu_ratios), 2) if cpu_ratios else None,
        "p50_ms_behind": round(behind, 2),
        "reached": {
            f"throughput_ratio at least {least}": ratio >= least,
            f"p50_ms_behind at most {MOST_MS_BEHIND}": behind <= MOST_MS_BEHIND,
        },
    }
