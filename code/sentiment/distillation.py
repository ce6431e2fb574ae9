"""What teachers make of the reviews, for the network to learn from: with labels, and without.

They err elsewhere than an LSTM does, and say how sure they are: Hinton, Vinyals and Dean, arXiv:1503.02531.
"""

import numpy as np
from numpy.typing import NDArray

from sentiment.batches import Sequences
from sentiment.teachers import Teachers


def taught(teachers: Teachers, unlabeled: Sequences, share: float) -> NDArray[np.float32]:
    """What the network is to say of reviews.

    Args:
        teachers: of the labelled reviews.
        unlabeled: more reviews.
        share: how much of a labelled one's target is a teacher's word; the rest is the label.

    Returns:
        [reviews] probabilities of "positive", of the labelled ones first.
    """
    targets = (1 - share) * teachers.labels.astype(np.float32) + share * teachers.told()
    matrices = map(teachers.ngrams.matrix, unlabeled.chunks())
    return np.concatenate([targets, *map(teachers.each[-1].probabilities, matrices)]).astype(np.float32)
