"""Where reviews come from, in few bytes."""

import tracemalloc

import numpy as np
import pytest

from sentiment.data.sources import Source, Sources

MANY = [
    Source("a/reviews.csv", 1),
    Source("a/reviews.csv", 2),
    Source("b/pos/0_9.txt", 0),
    Source("b/pos/1_7.txt", 0),
    Source("a/reviews.csv", 3),
    Source("no_folder.csv", 9),
    Source("odd/\udcff.csv", 1),
]


def of(sources: list[Source]) -> Sources:
    result = Sources()
    for source in sources:
        result.append(source)
    return result


def test_sources_are_found_again() -> None:
    sources = of(MANY)
    assert [sources[i] for i in range(len(sources))] == MANY


def test_selection_keeps_order() -> None:
    chosen = of(MANY).select(np.array([True, False, False, True, True, False, False]))
    assert [chosen[i] for i in range(len(chosen))] == [MANY[0], MANY[3], MANY[4]]


@pytest.mark.parametrize(("pattern", "limit"), [("train/pos/{}_9.txt", 40), ("reviews.csv", 20)])
def test_a_source_takes_few_bytes(pattern: str, limit: int) -> None:
    tracemalloc.start()
    sources = of([Source(pattern.format(i), i) for i in range(10_000)])
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size / len(sources) < limit
