"""A loaded model that turns texts into predictions."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch

from sentiment.artifact import Artifact, load_artifact
from sentiment.batches import Sequences, truncated
from sentiment.evaluation import sigmoid
from sentiment.model import SentimentLSTM, evaluate
from sentiment.text import words


class Prediction(NamedTuple):
    """The answer to one text; the probability is that of "positive", whatever the label."""

    label: str
    probability: float


class Predictor:
    """Texts to predictions, by one artifact.

    Args:
        artifact: what was trained.
        device: where the network runs.
    """

    def __init__(self, artifact: Artifact, device: str = "cpu") -> None:
        self._text = artifact.text
        self._stop_words = frozenset(artifact.text.stop_words)
        self._vocabulary = artifact.vocabulary
        self._network = SentimentLSTM(artifact.network)
        weights = {name: torch.from_numpy(tensor) for name, tensor in artifact.weights.items()}
        self._network.load_state_dict(weights)
        self._network.to(device).eval()

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> Self:
        """A predictor from a model directory.

        Raises:
            ArtifactError: a file of it is missing or damaged.
        """
        return cls(load_artifact(folder), device)

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """One prediction a text, in order; a text without a known word gets one too."""
        ids = [self._ids(text) for text in texts]
        probabilities = sigmoid(evaluate(self._network, Sequences.of(ids)))
        return [Prediction("positive" if p > 0.5 else "negative", float(p)) for p in probabilities]

    def _ids(self, text: str) -> list[int]:
        ids = np.array(self._vocabulary.ids(words(text, self._stop_words)), np.int32)
        cut: list[int] = truncated(ids, self._text.max_length, self._text.truncate).tolist()
        return cut
