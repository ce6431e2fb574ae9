"""What a network learns from: reviews as ids, and what it is to say of each."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sentiment.ngram_model.scores import NgramScores
from sentiment.text.sequences import Examples, Sequences


class Targets(NamedTuple):
    """The reviews to learn from, and what the network is to say of each.

    Attributes:
        sequences: the reviews.
        probabilities: [reviews] of "positive".
        ngram_scores: to read them with, if there is any.
    """

    sequences: Sequences
    probabilities: NDArray[np.float32]
    ngram_scores: NgramScores | None = None

    @classmethod
    def certain(cls, examples: Examples) -> "Targets":
        """The labels."""
        return cls(examples.sequences, examples.labels.astype(np.float32))
