"""Split of the training channel."""

import numpy as np

from sentiment.data.channels import Review, Source
from sentiment.data.corpus import ProvisionalVocabulary, Shard
from sentiment.data.split import is_held_out, read_and_split


def make_review(text: str, group: str | None = None) -> Review:
    return Review(text, len(text) % 2, Source("train/pos/123_9.txt", 0), group)


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
