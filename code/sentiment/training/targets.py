"""What a network learns from: reviews as ids, and what it is to say of each."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sentiment.text.sequences import Examples, Sequences


class Evidence(NamedTuple):
    """What each word and phrase tells of the sentiment by itself; see ``evidence.py``.

    Attributes:
        weights: [PARTS + 1, vocab_size], by those who have not read a part, and by the one who read all;
            the root mean square over the reviews' words is 1.
        part: [reviews to learn from], the row of ``weights`` that each is read with.
        line: [2], slope and intercept of the logit by the mean weight of a review's words.
    """

    weights: NDArray[np.float32]
    part: NDArray[np.int64]
    line: NDArray[np.float32]


class Targets(NamedTuple):
    """The reviews to learn from, and what the network is to say of each.

    Attributes:
        sequences: the reviews.
        probabilities: [reviews] of "positive".
        evidence: to read them with, if there is any.
    """

    sequences: Sequences
    probabilities: NDArray[np.float32]
    evidence: Evidence | None = None

    @classmethod
    def certain(cls, examples: Examples) -> "Targets":
        """The labels."""
        return cls(examples.sequences, examples.labels.astype(np.float32))
