"""The share of unknown words, by which a text that differs from all training reviews is recognized."""

import math

import numpy as np

from sentiment.text.sequences import Sequences
from sentiment.text.vocabulary import UNK_ID

LIMIT = "99.9"
_PERCENTILES = ("50", "90", "99", LIMIT, "100")
# Standard errors: in a text of three words, two unknown ones are chance.
_Z = 4.0


def measure_unknown_share(training: Sequences, unlabeled: Sequences, vocab_size: int) -> dict[str, float]:
    """Percentiles over the training reviews, by their name.

    Each review counts as if it were new: a word that occurs only once, in this review, is unknown.
    """
    counts = np.bincount(training.ids, minlength=vocab_size)
    counts += np.bincount(unlabeled.ids, minlength=vocab_size)
    counts[UNK_ID] = 0
    lengths = training.lengths
    unknown = np.bincount(training.rows, counts[training.ids] < 2, minlength=len(lengths))
    shares = unknown[lengths > 0] / lengths[lengths > 0]
    if len(shares) == 0:
        return {}
    percentiles = np.percentile(shares, [float(name) for name in _PERCENTILES])
    return dict(zip(_PERCENTILES, percentiles.tolist(), strict=True))


def exceeds(unknown: int, words: int, share: float) -> bool:
    """Whether more than ``share`` of the words are unknown, beyond the chance that is large in a short text.

    The lower bound of Wilson's score interval (Journal of the American Statistical Association 22, 1927).
    """
    if words == 0:
        return False
    fraction, square = unknown / words, _Z * _Z / words
    margin = _Z * math.sqrt(fraction * (1 - fraction) / words + square / words / 4)
    return (fraction + square / 2 - margin) / (1 + square) > share
