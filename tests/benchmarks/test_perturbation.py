"""Noise in the direction that confuses the network most."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from benchmarks.perturbation import TERMS, Clean, PerturbedOptimization, divergence, unit_noise
from sentiment.hyperparameters import Hyperparameters
from sentiment.model.network import SentimentLSTM
from sentiment.settings import NetworkSettings
from sentiment.text.sequences import Sequences
from sentiment.training.loader import Feed, Prepared
from sentiment.training.optimizer import Optimization
from sentiment.training.targets import Targets

HYPERPARAMETERS = replace(Hyperparameters(), learning_rate=0.02, precision="fp32")
TARGETS = Targets(Sequences.of([[2, 4], [3], [2, 5], [3, 5, 6]]), np.array([1, 0, 0.7, 0], np.float32))


def batch() -> Prepared:
    return next(iter(Feed(TARGETS, [np.arange(4)], torch.device("cpu"))))


def new(*, evidence: bool = False) -> SentimentLSTM:
    torch.manual_seed(1)
    network = SentimentLSTM(NetworkSettings(7, 4, 4, "mean", evidence))
    with torch.no_grad():
        network.embedding.weight.normal_(std=2)
        network.embedding.weight[0] = 0
    return network


def read(network: SentimentLSTM) -> Clean:
    """The batch, as the network reads it: 8 words of 4 elements."""
    part = batch()
    vectors = network.embed(part.ids)
    return Clean(vectors, network.read(vectors, part.lengths), part.lengths, part.targets)


def unit(gradient: torch.Tensor) -> torch.Tensor:
    return gradient / gradient.square().sum((0, 2), keepdim=True).sqrt()


def size(clean: Clean) -> float:
    """The root mean square of an element."""
    return float((clean.vectors.detach().square().sum() / (8 * 4)).sqrt())


def test_adversarial_noise_is_the_gradient_of_the_loss() -> None:
    clean = read(new())
    loss = functional.binary_cross_entropy_with_logits(clean.logits, clean.targets)
    (gradient,) = torch.autograd.grad(loss, clean.vectors, retain_graph=True)
    noise = unit_noise(clean, "adversarial", has_evidence=False)
    torch.testing.assert_close(noise, unit(gradient) * size(clean))


def test_virtual_noise_is_what_power_iteration_finds() -> None:
    network = new()
    clean = read(network)
    small = (1e-2 * torch.randn_like(clean.vectors)).requires_grad_()
    after = network.read(clean.vectors.detach() + small, clean.lengths)
    (gradient,) = torch.autograd.grad(divergence(clean.logits.detach(), after), small)
    found = unit(gradient) * size(clean)
    noise = unit_noise(clean, "virtual", has_evidence=False)
    signs = (noise * found).sum((0, 2)).sign()
    torch.testing.assert_close(noise, found * signs[:, None], rtol=0.05, atol=0.01)


def test_virtual_noise_does_not_know_the_target() -> None:
    clean = read(new())
    other = clean._replace(targets=1 - clean.targets)
    torch.manual_seed(3)
    noise = unit_noise(clean, "virtual", has_evidence=False)
    torch.manual_seed(3)
    assert torch.equal(unit_noise(other, "virtual", has_evidence=False), noise)


@pytest.mark.parametrize("kind", ["random", "adversarial", "virtual"])
@pytest.mark.parametrize("width", [4, 3])
def test_noise_of_each_review_has_the_size_of_an_element(kind: str, width: int) -> None:
    has_evidence = width == 3
    clean = read(new(evidence=has_evidence))
    noise = unit_noise(clean, kind, has_evidence=has_evidence)
    expected = (clean.vectors.detach()[..., :width].square().sum() / (8 * width)).sqrt()
    torch.testing.assert_close(noise.square().sum((0, 2)).sqrt(), expected.expand(4))


def test_padding_and_evidence_have_no_noise() -> None:
    noise = unit_noise(read(new(evidence=True)), "random", has_evidence=True)
    assert not noise[..., -1].any()
    assert not noise[1:, 1].any()
    assert not noise[2:, 0].any()


def test_adversarial_noise_makes_the_loss_larger_than_random_noise_does() -> None:
    network = new()
    clean = read(network)

    def loss(kind: str) -> float:
        vectors = clean.vectors + 0.1 * unit_noise(clean, kind, has_evidence=False)
        logits = network.read(vectors, clean.lengths)
        return functional.binary_cross_entropy_with_logits(logits, clean.targets).item()

    before = functional.binary_cross_entropy_with_logits(clean.logits, clean.targets).item()
    assert loss("adversarial") > max(before, *(loss("random") for _ in range(20)))


def test_divergence_is_that_of_the_probabilities() -> None:
    before, after = torch.tensor([-1.0, 0.5]), torch.tensor([1.0, 0.6])
    bernoulli = torch.distributions.Bernoulli
    expected = torch.distributions.kl_divergence(bernoulli(logits=before), bernoulli(logits=after)).mean()
    torch.testing.assert_close(divergence(before, after), expected)


def test_without_terms_a_step_is_that_of_the_program() -> None:
    plain, perturbed = new(), new()
    program = Optimization(plain, HYPERPARAMETERS, 10)
    benchmark = PerturbedOptimization(perturbed, HYPERPARAMETERS, 10, ())
    for number in range(3):
        assert program.step(batch(), number) == benchmark.step(batch(), number)
    assert torch.equal(plain.linear.weight, perturbed.linear.weight)


@pytest.mark.parametrize("term", TERMS)
def test_every_term_changes_what_is_learned_and_not_the_loss_that_is_told(term: str) -> None:
    plain, perturbed = new(), new()
    told = Optimization(plain, HYPERPARAMETERS, 10).step(batch(), 0)
    assert PerturbedOptimization(perturbed, HYPERPARAMETERS, 10, [term]).step(batch(), 0) == told
    assert not torch.equal(plain.embedding.weight, perturbed.embedding.weight)


def test_entropy_falls_by_its_gradient() -> None:
    clean = read(new())
    logits = clean.logits.detach().requires_grad_()
    entropy = functional.binary_cross_entropy_with_logits(logits, logits.sigmoid())
    (gradient,) = torch.autograd.grad(entropy, logits)
    # That of the logit z is -z p (1 - p).
    p = clean.logits.detach().sigmoid()
    torch.testing.assert_close(gradient, -clean.logits.detach() * p * (1 - p) / 4)
