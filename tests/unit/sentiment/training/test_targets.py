"""What a network learns from."""

import numpy as np

from sentiment.text.sequences import Examples, Sequences
from sentiment.training.targets import Targets


def test_targets_are_the_labels_where_they_are_certain() -> None:
    examples = Examples(Sequences.of([[2], [3]]), np.array([1, 0], np.int8))
    targets = Targets.certain(examples)
    assert targets.probabilities.tolist() == [1.0, 0.0]
    assert targets.sequences is examples.sequences
    assert targets.ngram_scores is None
