"""Streams of tokens, and sampling of candidates."""

import numpy as np
import pytest
from numpy.typing import NDArray

from byoc.distributed.process_group import ProcessGroup
from byoc.errors import DataError
from sentiment.hyperparameters import Hyperparameters
from sentiment.model.language_model import END_ID
from sentiment.text.sequences import Sequences
from sentiment.training.pretraining import CandidateSampler, Pretraining, make_streams
from sentiment.training.state import Setup


def zipf_counts(vocab_size: int = 200) -> NDArray[np.int64]:
    """Frequencies as in a text, some of them zero, in random order."""
    counts = 100_000 // np.arange(1, vocab_size + 1) ** 2
    return np.random.default_rng(0).permutation(counts)


def inclusion(sampler: CandidateSampler) -> NDArray[np.float64]:
    return np.exp(sampler.log_inclusion.numpy().astype(np.float64))


@pytest.mark.parametrize("samples", [1, 2, 10, 50, 199, 200])
def test_inclusion_sums_to_samples(samples: int) -> None:
    probabilities = inclusion(CandidateSampler(zipf_counts(), samples))
    assert probabilities.sum() == pytest.approx(samples, rel=1e-5)
    assert ((probabilities > 0) & (probabilities <= 1)).all()


def test_inclusion_follows_powers_of_counts() -> None:
    # The weights 8, 8, 1 and 1 (of count 0): 2 * 8 / 18 and 2 / 18.
    sampler = CandidateSampler(np.array([16, 16, 1, 0]), 2)
    assert inclusion(sampler) == pytest.approx([8 / 9, 8 / 9, 1 / 9, 1 / 9])


def test_certain_tokens_leave_the_rest() -> None:
    # The weights are 27, 8, 1, 1 and 1. The first token is certain. Two draws remain; 16 / 11 of
    # them would go to the second, so it is certain as well, and the last three have one draw.
    sampler = CandidateSampler(np.array([81, 16, 1, 1, 1]), 3)
    assert inclusion(sampler) == pytest.approx([1, 1, 1 / 3, 1 / 3, 1 / 3])


@pytest.mark.parametrize("samples", [1, 10, 50, 199])
def test_no_token_is_drawn_twice(samples: int) -> None:
    sampler = CandidateSampler(zipf_counts(), samples)
    for u in [0.0, np.nextafter(1, 0), *np.random.default_rng(1).random(300)]:
        tokens = sampler.sample(u)
        assert len(tokens) == len(np.unique(tokens)) == samples
        assert 0 <= tokens.min() <= tokens.max() < 200


def test_certain_tokens_are_always_drawn() -> None:
    sampler = CandidateSampler(zipf_counts(), 50)
    certain = np.flatnonzero(inclusion(sampler) == 1)
    assert len(certain) > 5
    for u in np.random.default_rng(1).random(300):
        assert np.isin(certain, sampler.sample(u)).all()


def test_draws_have_inclusion_frequencies() -> None:
    """An even grid of draws: the frequency of a token is off by at most two of its 2,000 points."""
    sampler = CandidateSampler(zipf_counts(), 50)
    draws = [sampler.sample((i + 0.5) / 2_000) for i in range(2_000)]
    frequencies = np.bincount(np.concatenate(draws), minlength=200) / 2_000
    np.testing.assert_allclose(frequencies, inclusion(sampler), atol=2 / 2_000)


@pytest.mark.parametrize("samples", [200, 10**6])
def test_enough_samples_make_all_candidates(samples: int) -> None:
    sampler = CandidateSampler(zipf_counts(), samples)
    assert sampler.sample(0.7).tolist() == list(range(200))
    np.testing.assert_allclose(sampler.log_inclusion.numpy(), 0, atol=1e-6)


# 60 reviews of 0 to 20 distinct tokens: 630 tokens and 60 ends.
LENGTHS = [i % 21 for i in range(60)]
STARTS = np.cumsum([2, *LENGTHS])
REVIEWS = [list(range(start, start + length)) for start, length in zip(STARTS, LENGTHS, strict=False)]
SEQUENCES = Sequences.from_lists(REVIEWS)
TOKENS = sum(LENGTHS) + len(LENGTHS)


def streams(count: int, seed: int = 0) -> NDArray[np.int32]:
    return make_streams(SEQUENCES, count, np.random.default_rng(seed))


def test_single_stream_has_every_review() -> None:
    (stream,) = streams(1)
    ends = np.flatnonzero(stream == END_ID)
    assert ends[0] == 0
    parts = [part[1:].tolist() for part in np.split(stream, ends)[1:]]
    assert sorted(parts) == sorted(REVIEWS)


def test_order_depends_on_generator() -> None:
    assert np.array_equal(streams(4, seed=1), streams(4, seed=1))
    assert not np.array_equal(streams(4, seed=1), streams(4, seed=2))


@pytest.mark.parametrize("count", [1, 2, 7, 64])
def test_streams_continue_each_other(count: int) -> None:
    """Each of the tokens is predicted once, up to the remainder."""
    (whole,) = streams(1)
    cut = streams(count)
    assert cut.shape == (count, (TOKENS - 1) // count + 1)
    assert (cut[1:, 0] == cut[:-1, -1]).all()
    joined = np.concatenate([cut[0, :1], cut[:, 1:].ravel()])
    assert np.array_equal(joined, whole[: len(joined)])
    assert 0 <= TOKENS - len(joined) < count


def test_streams_may_be_as_many_as_tokens() -> None:
    assert streams(TOKENS - 1).shape == (TOKENS - 1, 2)


@pytest.mark.parametrize(("words", "processes"), [(0, 1), (2, 3)])
def test_fewer_words_than_processes_are_refused(words: int, processes: int) -> None:
    reviews = Sequences.from_lists([[2] * words])
    with pytest.raises(DataError, match=f"contain {words} words, too few"):
        Pretraining([reviews], reviews, 3, Setup(Hyperparameters(), ProcessGroup(size=processes)))
