"""Streaming of reviews into token ids."""

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from sentiment.data.channels import Review, Source
from sentiment.data.corpus import (
    ProvisionalVocabulary,
    Shard,
    encode,
    read,
)
from sentiment.text.vocabulary import Vocabulary


def make_review(text: str, group: str | None = None) -> Review:
    return Review(text, len(text) % 2, Source("train/pos/123_9.txt", 0), group)


def test_words_are_counted_per_corpus() -> None:
    vocabulary = ProvisionalVocabulary(str.split)
    first = read([make_review("a b a"), make_review("c")], vocabulary, Shard())
    read([make_review("d")], vocabulary, Shard())
    assert vocabulary.count(first) == {"a": 2, "b": 1, "c": 1, "d": 0}


def test_encode_replaces_ids_and_truncates() -> None:
    provisional = ProvisionalVocabulary(str.split)
    corpus = read(map(make_review, ["a b c", "", "c a"]), provisional, Shard())
    encoded = encode(corpus, provisional, Vocabulary(["c", "a"]), 2, "tail")
    assert [encoded[i].tolist() for i in range(3)] == [[1, 2], [], [2, 3]]


@pytest.mark.parametrize(("group", "expected"), [(None, False), ("tt1", True)])
def test_has_group_ids(group: str | None, *, expected: bool) -> None:
    reviews = [make_review("a"), make_review("b", group)]
    assert read(reviews, ProvisionalVocabulary(str.split), Shard()).has_group_ids == expected


def test_shards_partition_the_channel() -> None:
    reviews = [make_review(f"text{i}") for i in range(10)]
    whole = read(reviews, ProvisionalVocabulary(str.split), Shard())
    shards = [read(reviews, ProvisionalVocabulary(str.split), Shard(rank, 3, 100)) for rank in range(3)]
    assert whole.positions.tolist() == list(range(10))
    assert shards[1].positions.tolist() == [101, 104, 107]
    positions = np.concatenate([shard.positions for shard in shards])
    texts = np.concatenate([shard.texts for shard in shards])
    assert texts[np.argsort(positions)].tolist() == whole.texts.tolist()


def test_sources_are_kept_on_request() -> None:
    reviews = [make_review(f"text{i}") for i in range(3)]
    corpus = read(reviews, ProvisionalVocabulary(str.split), Shard(), keep_sources=True)
    kept = corpus.select(np.array([True, False, True]))
    assert kept.sources == [reviews[0].source, reviews[2].source]
    assert read(reviews, ProvisionalVocabulary(str.split), Shard()).sources == []


def measure_peak(count: int, words: int) -> int:
    def stream() -> Iterator[Review]:
        for i in range(count):
            yield Review("w " * words, 1, Source(f"aclImdb/train/pos/{i}_9.txt", 0))

    tracemalloc.start()
    read(stream(), ProvisionalVocabulary(str.split), Shard())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("words", [1, 200])
def test_review_takes_4_bytes_per_word(words: int) -> None:
    # Growing arrays over-allocate by a sixteenth, so sizes are compared over a long stretch.
    few, many = 20_000, 100_000
    growth = measure_peak(many, words) - measure_peak(few, words)
    assert growth / (many - few) < 1.1 * (4 * words + 45)
