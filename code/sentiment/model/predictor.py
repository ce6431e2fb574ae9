"""A loaded model that predicts texts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

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


class Predictor:
    """Predicts texts on a device, in precision fp32 or in the fastest supported one (auto)."""

    def __init__(self, artifact: Artifact, device: str = "cpu", precision: str = "fp32") -> None:
        self._dtype = DTYPES.get(Hardware.from_device(torch.device(device)).resolve(precision))
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
        """The predictor of a model folder.

        Raises:
            ArtifactError: a file is missing or damaged.
        """
        return cls(load_artifact(folder), device, precision)

    def predict(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Label, probability of "positive" and fraction of unknown words of each text."""
        ids = [self._ids(text) for text in texts]
        sequences = self._inserter.insert(Sequences.from_lists(ids))
        probabilities = sigmoid(evaluate(self._network, sequences, dtype=self._dtype))
        unknown = [tokens.count(UNK_ID) / max(1, len(tokens)) for tokens in ids]
        return [
            {
                "label": "positive" if p > 0.5 else "negative",
                "probability": round(float(p), 6),
                "_unknown_share": unknown_share,
            }
            for p, unknown_share in zip(probabilities, unknown, strict=True)
        ]

    def metrics(self, results: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Mean fraction of unknown words."""
        shares = [result["_unknown_share"] for result in results]
        return {"unknown_share": round(sum(shares) / max(1, len(shares)), 4)}

    def _ids(self, text: str) -> list[int]:
        words = tokenize(text, self._stop_words, self._text.tokenizer)
        ids = np.array(self._vocabulary.ids(words), np.int32)
        truncated: list[int] = truncate(ids, self._text.max_length, self._text.truncate).tolist()
        return truncated
