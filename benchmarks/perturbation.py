"""Training against noise in the direction that confuses the network most.

For one logit that direction is the logit's gradient by the word vectors, up to its sign:

- The gradient of the log loss is that of the logit times the probability less the target, so that adversarial
  noise (Miyato, Dai and Goodfellow, ICLR 2017, section 3) has the sign of this error.
- The divergence of the probabilities before and after noise is, to the second order, half of p (1 - p) times
  the square of the noise's product with that gradient. It has this direction alone, which their power
  iteration finds in one step, with the sign of the random vector it begins with: virtual adversarial noise.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from sentiment.hyperparameters import Hyperparameters
from sentiment.model.network import SentimentLSTM
from sentiment.training.loader import Prepared
from sentiment.training.optimizer import Optimization

TERMS = ("random", "adversarial", "virtual", "entropy")
# Norm of the noise of a whole review, where the elements of word vectors have a root mean square of 1: the
# paper normalizes the vectors for that, here the noise takes on their size.
LENGTH = 5.0


class Clean(NamedTuple):
    """A batch that was read as it is.

    Attributes:
        vectors: [time, batch, embedding_dim], with their graph.
        logits: [batch], with theirs.
        lengths: [batch].
        targets: [batch] probabilities of "positive".
    """

    vectors: Tensor
    logits: Tensor
    lengths: Tensor
    targets: Tensor


class PerturbedOptimization(Optimization):
    """Each step learns from the labels and, with the same weight, from each of the terms.

    Args:
        network: on a CPU or one GPU, in fp32 or bf16.
        hyperparameters: as of ``Optimization``.
        steps: as of ``Optimization``.
        terms: some of ``TERMS``; all of them but "random" are the mixed objective of Sachan, Zaheer and
            Salakhutdinov (AAAI 2019).
    """

    def __init__(
        self, network: SentimentLSTM, hyperparameters: Hyperparameters, steps: int, terms: Sequence[str]
    ) -> None:
        super().__init__(network, hyperparameters, steps)
        self._alone = network  # not as several processes wrap it
        self.terms = terms

    def _add_gradients(self, part: Prepared, weight: float) -> Tensor:
        with self._arithmetic():
            vectors = self._alone.embed(part.ids, part.evidence)
            logits = self._alone.read(vectors, part.lengths)
        clean = Clean(vectors, logits.float(), part.lengths, part.targets)
        loss = functional.binary_cross_entropy_with_logits(clean.logits, clean.targets)
        others = [self._loss(clean, term) for term in self.terms]
        torch.stack([loss, *others]).sum().mul(weight).backward()  # type: ignore[no-untyped-call]
        return loss.detach() * weight

    def _arithmetic(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None)

    def _loss(self, clean: Clean, term: str) -> Tensor:
        if term == "entropy":
            return functional.binary_cross_entropy_with_logits(clean.logits, clean.logits.sigmoid())
        noise = LENGTH * unit_noise(clean, term, self._alone.evidence)
        with self._arithmetic():
            logits = self._alone.read(clean.vectors + noise, clean.lengths).float()
        if term == "virtual":
            return divergence(clean.logits.detach(), logits)
        return functional.binary_cross_entropy_with_logits(logits, clean.targets)


def divergence(before: Tensor, after: Tensor) -> Tensor:
    """[] mean Kullback-Leibler divergence, in nats, of two batches of logits."""
    probabilities = before.sigmoid()
    cross = functional.binary_cross_entropy_with_logits(after, probabilities)
    return cross - functional.binary_cross_entropy_with_logits(before, probabilities)


def unit_noise(clean: Clean, kind: str, has_evidence: bool) -> Tensor:
    """[time, batch, embedding_dim] noise, none in padding and in evidence.

    Its norm over a whole review is the root mean square of an element of the batch's word vectors.
    """
    vectors = clean.vectors.detach()
    steps = torch.arange(len(vectors), device=vectors.device)
    counts = (steps[:, None] < clean.lengths).unsqueeze(2).expand_as(vectors).clone()
    if has_evidence:
        counts[..., -1] = False
    if kind == "random":
        direction = torch.randn_like(vectors)
    else:
        (direction,) = torch.autograd.grad(clean.logits.sum(), clean.vectors, retain_graph=True)
    direction = direction * counts
    if kind == "adversarial":
        direction = direction * (clean.logits.detach().sigmoid() - clean.targets).sign()[:, None]
    elif kind == "virtual":
        direction = direction * torch.randn_like(clean.targets).sign()[:, None]
    norms = direction.square().sum((0, 2), keepdim=True).sqrt().clamp_min(1e-12)
    size = ((vectors * counts).square().sum() / counts.sum()).sqrt()
    return direction / norms * size
