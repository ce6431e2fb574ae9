"""Reviews whose label depends on the order of two words, so that only n-grams separate the classes."""

import numpy as np

from sentiment.text.sequences import Examples, Sequences

GENERATOR = np.random.default_rng(0)
VOCAB_SIZE = 30


def examples(count: int) -> Examples:
    """Positive reviews contain the words "2 3", negative reviews "3 2"; each review is a group."""
    labels = (np.arange(count) % 2).astype(np.int8)
    texts = []
    for label in labels:
        words = GENERATOR.integers(4, VOCAB_SIZE, 12).tolist()
        words[5:7] = [2, 3] if label else [3, 2]
        texts.append(words)
    return Examples(Sequences.from_lists(texts), labels, np.arange(count, dtype=np.uint64))


TRAINING = examples(400)
