"""Streaming of reviews into token ids."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sentiment.data.channels import Review, Source
from sentiment.data.corpus import (
    ProvisionalVocabulary,
    Shard,
    encode,
    is_held_out,
    read,
    read_and_split,
)
from sentiment.text.vocabulary import Vocabulary
from tests.support.programs import run_processes

# Every process runs this; a failed assertion is its exit code.
THREE = """
from byoc.distributed.process_group import SINGLE_PROCESS, ProcessGroup
from sentiment.data.channels import Review, Source
from sentiment.data.corpus import ProvisionalVocabulary, Shard, encode, gather_examples, gather_sources, read
from sentiment.text.vocabulary import Vocabulary

REVIEWS = [
    Review(f"w{i} w{i + 1} w{i % 3}", i % 2, Source("reviews.csv", i + 2), f"tt{i // 2}") for i in range(8)
]

def gather(process_group, shard):
    provisional, vocabulary = ProvisionalVocabulary(str.split), Vocabulary([f"w{i}" for i in range(9)])
    corpus = read(REVIEWS, provisional, shard, keep_sources=True)
    sources = gather_sources(corpus, process_group)
    sequences = encode(corpus, provisional, vocabulary, 2, "tail")
    return gather_examples("test", corpus, sequences, process_group), sources

process_group = ProcessGroup.init()
examples, sources = gather(process_group, Shard(process_group.rank, process_group.size))
expected, expected_sources = gather(SINGLE_PROCESS, Shard())
assert examples.sequences.ids.tolist() == expected.sequences.ids.tolist()
assert examples.sequences.offsets.tolist() == expected.sequences.offsets.tolist()
assert examples.labels.tolist() == [0, 1] * 4
assert examples.groups.tolist() == expected.groups.tolist() and len(set(examples.groups.tolist())) == 4
assert sources == expected_sources
process_group.destroy()
"""


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


def test_fraction_of_reviews_is_held_out() -> None:
    fraction = np.mean([is_held_out(make_review(f"text {i}"), 0.1, seed=1) for i in range(10_000)])
    assert 0.09 < fraction < 0.11


def test_group_stays_on_one_side() -> None:
    assert len({is_held_out(make_review(f"text {i}", "tt1"), 0.5, seed=1) for i in range(100)}) == 1


def test_split_depends_on_the_seed() -> None:
    assert len({is_held_out(make_review("text"), 0.5, seed) for seed in range(100)}) == 2


def test_every_review_is_on_one_side() -> None:
    reviews = [make_review(f"text{i}") for i in range(1_000)]
    training, validation = read_and_split(reviews, ProvisionalVocabulary(str.split), Shard(), 0.2, 1)
    assert len(training) + len(validation) == 1_000


def test_drop_texts_removes_shared_texts() -> None:
    reviews = [make_review(f"text{i % 10}", f"tt{i}") for i in range(1_000)]
    training, validation = read_and_split(reviews, ProvisionalVocabulary(str.split), Shard(), 0.5, 1)
    assert set(training.texts) & set(validation.texts)
    assert not set(training.texts) & set(validation.drop_texts(training.texts).texts)


def test_shards_agree_without_communication() -> None:
    reviews = [make_review(f"text{i}") for i in range(1_000)]
    _, whole = read_and_split(reviews, ProvisionalVocabulary(str.split), Shard(), 0.2, 1)
    shards = [
        read_and_split(reviews[i::2], ProvisionalVocabulary(str.split), Shard(), 0.2, 1)[1] for i in range(2)
    ]
    assert sorted(whole.texts) == sorted(np.concatenate([shard.texts for shard in shards]))


def test_only_held_out_reviews_keep_sources() -> None:
    reviews = [make_review(f"text{i}") for i in range(100)]
    training, validation = read_and_split(reviews, ProvisionalVocabulary(str.split), Shard(), 0.5, 1)
    assert training.sources == []
    assert len(validation.sources) == len(validation) > 0


def test_gathered_examples_follow_the_channel(tmp_path: Path) -> None:
    run_processes(THREE, tmp_path)
