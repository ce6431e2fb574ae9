"""Reviews as ids, read as a stream."""

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from sentiment.data.corpus import Share, WordTable, encode, is_held_out, read, read_and_split
from sentiment.data.reviews import Review
from sentiment.data.sources import Source
from sentiment.text.vocabulary import Vocabulary


def review(text: str, movie: str | None = None) -> Review:
    return Review(text, len(text) % 2, Source("train/pos/123_9.txt", 0), movie)


def test_provisional_ids_are_counted() -> None:
    table = WordTable()
    corpus = read([review("a b a"), review("c")], str.split, table)
    assert table.words == ["a", "b", "c"]
    assert table.count(corpus).tolist() == [2, 1, 1]


def test_words_of_another_corpus_count_nothing() -> None:
    table = WordTable()
    first = read([review("a")], str.split, table)
    read([review("b")], str.split, table)
    assert table.count(first).tolist() == [1, 0]


def test_encoding_replaces_and_cuts() -> None:
    table = WordTable()
    corpus = read([review("a b c"), review(""), review("c a")], str.split, table)
    encoded = encode(corpus, table, Vocabulary(["c", "a"]), 2, "tail")
    assert [encoded[i].tolist() for i in range(3)] == [[1, 2], [], [2, 3]]


def test_about_the_wanted_share_is_held_out() -> None:
    share = np.mean([is_held_out(review(f"text {i}"), 0.1, seed=1) for i in range(10_000)])
    assert 0.09 < share < 0.11


def test_movie_decides_where_it_is_known() -> None:
    sides = {is_held_out(review(f"text {i}", "tt1"), 0.5, seed=1) for i in range(100)}
    assert len(sides) == 1


def test_seed_decides_too() -> None:
    sides = {is_held_out(review("text"), 0.5, seed) for seed in range(100)}
    assert len(sides) == 2


@pytest.mark.parametrize(("movie", "tells"), [(None, False), ("tt1", True)])
def test_movies_are_known_or_not(movie: str | None, *, tells: bool) -> None:
    assert read([review("a"), review("b", movie)], str.split, WordTable()).tells_movies == tells


def test_every_review_is_on_one_side() -> None:
    texts = [f"text{i}" for i in range(1_000)]
    table = WordTable()
    training, validation = read_and_split(map(review, texts), str.split, table, 0.2, 1)
    assert len(training) + len(validation) == 1_000


def test_identical_texts_are_on_one_side_whatever_their_movie() -> None:
    reviews = [review(f"text{i % 10}", f"tt{i}") for i in range(1_000)]
    training, validation = read_and_split(reviews, str.split, WordTable(), 0.5, 1)
    assert set(training.digests) & set(validation.digests)
    assert not set(training.digests) & set(validation.without(training.digests).digests)


def test_shards_agree_without_talking() -> None:
    texts = [review(f"text{i}") for i in range(1_000)]
    _, whole = read_and_split(texts, str.split, WordTable(), 0.2, 1)
    parts = [read_and_split(texts[i::2], str.split, WordTable(), 0.2, 1)[1] for i in range(2)]
    assert sorted(whole.digests) == sorted(np.concatenate([part.digests for part in parts]))


def test_shares_are_the_whole_and_know_their_places() -> None:
    reviews = [review(f"text{i}") for i in range(10)]
    whole = read(reviews, str.split, WordTable())
    parts = [read(reviews, str.split, WordTable(), Share(part, 3, 100)) for part in range(3)]
    assert whole.positions.tolist() == list(range(10))
    assert parts[1].positions.tolist() == [101, 104, 107]
    positions = np.concatenate([part.positions for part in parts])
    digests = np.concatenate([part.digests for part in parts])
    assert digests[np.argsort(positions)].tolist() == whole.digests.tolist()


def peak_bytes(count: int, words: int) -> int:
    def stream() -> Iterator[Review]:
        for i in range(count):
            yield Review("w " * words, 1, Source(f"aclImdb/train/pos/{i}_9.txt", 0))

    tracemalloc.start()
    read(stream(), str.split, WordTable())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("words", [1, 200])
def test_a_review_takes_4_bytes_a_word_and_80_more(words: int) -> None:
    # Growing arrays reserve a little more than they hold: sizes are compared over a long stretch.
    few, many = 20_000, 100_000
    grown = peak_bytes(many, words) - peak_bytes(few, words)
    assert grown / (many - few) < 4 * words + 80
