"""What teachers make of the reviews, for the network to learn from: with labels, and without.

They err elsewhere than an LSTM does, and say how sure they are: Hinton, Vinyals and Dean, arXiv:1503.02531.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from sentiment.ngram_model.nbsvm import PARTS, Teachers
from sentiment.text.sequences import Sequences

# Inverse strength of the L2 penalty where vectors join in, and what the teachers' logits, which are large
# beside the vectors' elements, are multiplied by for it.
_STRENGTH = 0.02
_LOGITS = 0.3
_SUREST = 1e-6


class Told(NamedTuple):
    """What teachers say of the reviews.

    Attributes:
        labelled: [labelled] probabilities of "positive", each by the teacher that has not read the review.
        others: [PARTS + 1, others] of reviews without a label, by each teacher; the last one has read all.
    """

    labelled: NDArray[np.float32]
    others: NDArray[np.float32]

    @classmethod
    def by(cls, teachers: Teachers, others: Sequences) -> "Told":
        """What the teachers say."""
        return cls(teachers.told(), teachers.told_of(others))

    def with_vectors(self, vectors: NDArray[np.float32], teachers: Teachers) -> "Told":
        """What they say when they know the reviews' vectors, too, by a regression on both.

        Args:
            vectors: [labelled and others, dimensions], with a root mean square of 1.
            teachers: those who told this.
        """
        # What the regression of a part learns from has come by teachers who have read that part. Of one label
        # among thousands, in one of its columns, that leaves next to nothing.
        count = len(self.labelled)
        own, labels, part = _columns(vectors[:count], self.labelled), teachers.labels, teachers.part
        labelled, others = np.empty_like(self.labelled), np.empty_like(self.others)
        for number in range(PARTS + 1):
            read, unread = part != number, part == number
            regression = LogisticRegression(C=_STRENGTH, max_iter=1_000).fit(own[read], labels[read])
            if unread.any():
                labelled[unread] = regression.predict_proba(own[unread])[:, 1]
            if len(vectors) > count:
                them = _columns(vectors[count:], self.others[number])
                others[number] = regression.predict_proba(them)[:, 1]
        return Told(labelled, others)

    def targets(self, labels: NDArray[np.int8], share: float) -> NDArray[np.float32]:
        """[labelled and others] what the network is to say.

        Args:
            labels: [labelled].
            share: how much of a labelled one's target is a teacher's word; the rest is the label.
        """
        mixed = (1 - share) * labels.astype(np.float32) + share * self.labelled
        return np.concatenate([mixed, self.others[PARTS]]).astype(np.float32)


def _columns(vectors: NDArray[np.float32], told: NDArray[np.float32]) -> NDArray[np.float32]:
    """[reviews, dimensions + 1]: vectors and logits."""
    sure = told.astype(np.float64).clip(_SUREST, 1 - _SUREST)
    logits = np.log(sure / (1 - sure)) * _LOGITS
    return np.column_stack([vectors, logits.astype(np.float32)])
