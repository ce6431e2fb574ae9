"""A loaded model that turns texts into predictions."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch

from sentiment.evaluation.metrics import sigmoid
from sentiment.model.artifact import Artifact, load_artifact
from sentiment.model.network import SentimentLSTM, evaluate
from sentiment.model.precision import DTYPES, Hardware
from sentiment.text.ngrams import NgramInserter
from sentiment.text.sequences import Sequences, truncate
from sentiment.text.tokenizer import tokenize
from sentiment.text.vocabulary import UNK_ID


class Prediction(NamedTuple):
    """The answer to one text.

    Attributes:
        label: "positive" or "negative".
        probability: that of "positive", whatever the label.
        unknown_share: the share of the text's words that the lookup table does not hold; 0 without words.
    """

    label: str
    probability: float
    unknown_share: float = 0.0


class Predictor:
    """Texts to predictions, by one artifact.

    Args:
        artifact: what was trained.
        device: where the network runs.
        precision: its arithmetic: fp32, or auto for the fastest that the hardware has.
    """

    def __init__(self, artifact: Artifact, device: str = "cpu", precision: str = "fp32") -> None:
        self._dtype = DTYPES.get(Hardware.of(torch.device(device)).resolve(precision))
        self._text = artifact.text
        self._stop_words = frozenset(artifact.text.stop_words)
        self._vocabulary = artifact.vocabulary
        self._inserter = NgramInserter(artifact.vocabulary)
        self._network = SentimentLSTM(artifact.network)
        weights = {name: torch.from_numpy(tensor) for name, tensor in artifact.weights.items()}
        self._network.load_state_dict(weights)
        self._network.to(device).eval()

    @classmethod
    def load(cls, folder: Path, device: str = "cpu", precision: str = "fp32") -> Self:
        """A predictor from a model directory.

        Raises:
            ArtifactError: a file of it is missing or damaged.
        """
        return cls(load_artifact(folder), device, precision)

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """One prediction a text, in order; a text without a known word gets one too."""
        ids = [self._ids(text) for text in texts]
        sequences = self._inserter.insert(Sequences.from_lists(ids))
        probabilities = sigmoid(evaluate(self._network, sequences, dtype=self._dtype))
        shares = [own.count(UNK_ID) / max(1, len(own)) for own in ids]
        return [
            Prediction("positive" if p > 0.5 else "negative", float(p), share)
            for p, share in zip(probabilities, shares, strict=True)
        ]

    def _ids(self, text: str) -> list[int]:
        ids = np.array(self._vocabulary.ids(tokenize(text, self._stop_words)), np.int32)
        cut: list[int] = truncate(ids, self._text.max_length, self._text.truncate).tolist()
        return cut
