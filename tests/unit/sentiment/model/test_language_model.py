"""The language model: loss and perplexity."""

from unittest.mock import Mock

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from sentiment.model.language_model import END_ID, LanguageModel
from sentiment.text.sequences import Sequences
from sentiment.training.pretraining import CandidateSampler

VOCAB_SIZE = 30
COUNTS = np.random.default_rng(0).geometric(0.02, VOCAB_SIZE)
EVERYTHING = torch.arange(VOCAB_SIZE), torch.zeros(VOCAB_SIZE)


@pytest.fixture
def model() -> LanguageModel:
    torch.manual_seed(0)
    model = LanguageModel(COUNTS, 5, 7)
    with torch.no_grad():
        model.embedding.weight.normal_()  # far from uniform predictions
        model.projection.weight.normal_()
    return model


def make_batch(time: int = 4, batch: int = 3) -> tuple[Tensor, Tensor]:
    tokens = torch.from_numpy(np.random.default_rng(1).integers(0, VOCAB_SIZE, (time + 1, batch)))
    return tokens[:-1], tokens[1:]


def softmax_logits(model: LanguageModel, inputs: Tensor) -> Tensor:
    """[time, batch, vocab_size] logits of the full softmax."""
    hidden = model.projection(model.lstm(model.embedding(inputs))[0])
    return functional.linear(hidden, model.embedding.weight, model.bias_embedding.weight[:, 0])


def test_all_candidates_equal_full_softmax(model: LanguageModel) -> None:
    inputs, targets = make_batch()
    loss, _ = model(inputs, targets, *EVERYTHING, None)
    expected = functional.cross_entropy(softmax_logits(model, inputs).flatten(0, 1), targets.flatten())
    assert expected > 3  # not a trivial case
    torch.testing.assert_close(loss, expected)


def test_all_candidates_equal_full_gradient(model: LanguageModel) -> None:
    inputs, targets = make_batch()
    loss, _ = model(inputs, targets, *EVERYTHING, None)
    softmax = functional.cross_entropy(softmax_logits(model, inputs).flatten(0, 1), targets.flatten())
    parameters = list(model.parameters())
    actual, expected = (torch.autograd.grad(value, parameters) for value in (loss, softmax))
    torch.testing.assert_close(actual, expected)


def test_order_of_candidates_is_irrelevant(model: LanguageModel) -> None:
    inputs, targets = make_batch()
    loss, _ = model(inputs, targets, *EVERYTHING, None)
    backward, _ = model(inputs, targets, EVERYTHING[0].flip(0), EVERYTHING[1], None)
    torch.testing.assert_close(loss, backward)


def inverse_probability(model: LanguageModel, *, corrected: bool, samples: int = 10) -> float:
    """Mean of 1 / p(target) over the draws of an even grid, as estimated from samples."""
    sampler, (inputs, targets) = CandidateSampler(COUNTS, samples), make_batch(1, 1)
    values = []
    for u in (np.arange(1_000) + 0.5) / 1_000:
        candidates = torch.from_numpy(sampler.sample(u))
        log_inclusion = sampler.log_inclusion[candidates] * corrected
        with torch.inference_mode():
            values.append(float(model(inputs, targets, candidates, log_inclusion, None)[0].exp()))
    return float(np.mean(values))


def test_sampled_normalizer_is_unbiased(model: LanguageModel) -> None:
    # exp(loss) is the normalizer over the target's share of it. As a function of the draw it is constant
    # between at most 30 jumps, each of which costs a grid of 1,000 points a thousandth of its height: less
    # than 1 % of the value.
    loss, _ = model(*make_batch(1, 1), *EVERYTHING, None)
    expected = loss.exp().item()
    assert inverse_probability(model, corrected=True) == pytest.approx(expected, rel=0.01)
    assert inverse_probability(model, corrected=False) < 0.8 * expected


def test_sampled_loss_approaches_full_softmax(model: LanguageModel) -> None:
    """The logarithm of an unbiased estimate is too low, by less with more samples."""
    inputs, targets = make_batch(20, 5)
    gaps = []
    with torch.inference_mode():
        expected, _ = model(inputs, targets, *EVERYTHING, None)
        for samples in (2, 5, 10, 20):
            sampler, losses = CandidateSampler(COUNTS, samples), []
            for u in (np.arange(100) + 0.5) / 100:
                candidates = torch.from_numpy(sampler.sample(u))
                loss, _ = model(inputs, targets, candidates, sampler.log_inclusion[candidates], None)
                losses.append(float(loss))
            gaps.append(float(expected) - float(np.mean(losses)))
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[0] > 0.1
    assert 0 < gaps[-1] < 0.01


def test_target_counts_exactly_once(model: LanguageModel) -> None:
    inputs, targets = make_batch(1, 1)
    without = EVERYTHING[0][EVERYTHING[0] != targets.item()]
    loss, _ = model(inputs, targets, without, torch.zeros(VOCAB_SIZE - 1), None)
    torch.testing.assert_close(loss, model(inputs, targets, *EVERYTHING, None)[0])


def test_target_ignores_its_inclusion(model: LanguageModel) -> None:
    inputs, targets = make_batch(1, 1)
    log_inclusion = torch.zeros(VOCAB_SIZE)
    log_inclusion[targets] = -5.0
    loss, _ = model(inputs, targets, EVERYTHING[0], log_inclusion, None)
    assert torch.equal(loss, model(inputs, targets, *EVERYTHING, None)[0])


def test_state_continues_the_batch(model: LanguageModel) -> None:
    inputs, targets = make_batch(6)
    whole, last_state = model(inputs, targets, *EVERYTHING, None)
    first, state = model(inputs[:2], targets[:2], *EVERYTHING, None)
    second, state = model(inputs[2:], targets[2:], *EVERYTHING, state)
    torch.testing.assert_close((2 * first + 4 * second) / 6, whole)
    torch.testing.assert_close(state, last_state)
    assert not state[0].requires_grad


def test_bias_starts_at_log_frequencies() -> None:
    counts = np.array([10, 0, 60, 30])
    bias = LanguageModel(counts, 2, 3).bias_embedding.weight[:, 0].tolist()
    assert bias == pytest.approx(np.log([0.1, 0.01, 0.6, 0.3]).tolist())


def test_end_token_has_random_embedding() -> None:
    assert LanguageModel(COUNTS, 5, 7).embedding.weight[END_ID].all()


def without_memory(probabilities: list[float]) -> LanguageModel:
    """A model that predicts tokens with these probabilities in any context."""
    model = LanguageModel(np.ones(len(probabilities), np.int64), 2, 3)
    with torch.no_grad():
        model.projection.weight.zero_()
        model.projection.bias.zero_()
        model.bias_embedding.weight.copy_(torch.tensor(probabilities).log()[:, None])
    return model


def test_perplexity_of_known_probabilities() -> None:
    # "2 3" and its end, then an empty review's end: 1/2, 1/8, 1/4 and 1/4.
    model = without_memory([1 / 4, 1 / 8, 1 / 2, 1 / 8])
    perplexity = model.perplexity(Sequences.from_lists([[2, 3], []]), None)
    assert perplexity == pytest.approx((2 * 8 * 4 * 4) ** (1 / 4))


def test_perplexity_restarts_each_review(model: LanguageModel) -> None:
    reviews = [[5, 6, 7], [8], [6, 9, 5, 5]]
    total = 0.0
    for review in reviews:
        tokens = torch.tensor([END_ID, *review, END_ID])[:, None]
        logits = softmax_logits(model, tokens[:-1])[:, 0]
        total += functional.cross_entropy(logits, tokens[1:, 0], reduction="sum").item()
    expected = np.exp(total / 11)
    assert model.perplexity(Sequences.from_lists(reviews), None) == pytest.approx(expected, rel=1e-5)


def test_perplexity_needs_few_logits_at_once(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    reviews = Sequences.from_lists([[5, 6, 7, 8, 9, 4], [8]])
    expected = model.perplexity(reviews, None)
    monkeypatch.setattr("sentiment.model.language_model._EVALUATION_LOGITS", 2 * VOCAB_SIZE)
    forward = Mock(wraps=model.forward)
    monkeypatch.setattr(model, "forward", forward)
    assert model.perplexity(reviews, None) == pytest.approx(expected, rel=1e-5)
    assert [len(call.args[0]) for call in forward.call_args_list] == [2, 2, 2, 1, 2]


def test_overflowing_perplexity_is_infinite() -> None:
    model = without_memory([0.5, 0.0, 0.5])
    with torch.no_grad():
        model.bias_embedding.weight[1] = -2_000.0
    assert model.perplexity(Sequences.from_lists([[1]]), None) == np.inf
