"""Reviews in which pairs of words tell what the words alone do not."""

import numpy as np

from sentiment.text.sequences import Examples, Sequences

GENERATOR = np.random.default_rng(0)
VOCAB_SIZE = 30


def examples(count: int) -> Examples:
    """Of the words 2 and 3, positive reviews have "2 3" and negative ones "3 2" somewhere."""
    labels = (np.arange(count) % 2).astype(np.int8)
    texts = []
    for label in labels:
        words = GENERATOR.integers(4, VOCAB_SIZE, 12).tolist()
        words[5:7] = [2, 3] if label else [3, 2]
        texts.append(words)
    return Examples(Sequences.from_lists(texts), labels)


TRAINING = examples(400)
MOVIES = np.arange(400, dtype=np.uint64)  # a movie each
