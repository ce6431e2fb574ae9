"""A loaded model that predicts texts."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from sentiment.model.artifact import Artifact, load_artifact
from sentiment.model.network import SentimentLSTM, evaluate
from sentiment.model.precision import DTYPES, Hardware
from sentiment.text.sequences import Sequences, truncate
from sentiment.text.tokenizer import MAX_CHARACTERS, tokenize
from sentiment.text.unknown_share import LIMIT, exceeds
from sentiment.text.vocabulary import UNK_ID

logger = logging.getLogger("worker")


class Predictor:
    """Predicts texts on a device, in precision fp32 or in the fastest supported one (auto)."""

    def __init__(self, artifact: Artifact, device: str = "cpu", precision: str = "fp32") -> None:
        self._dtype = DTYPES.get(Hardware.from_device(torch.device(device)).resolve(precision))
        self._text = artifact.text
        self._stop_words = frozenset(artifact.text.stop_words)
        self._vocabulary = artifact.vocabulary
        self._ngram_model = artifact.ngram_model
        self._unknown_limit = artifact.unknown_share.get(LIMIT, 1.0)
        with torch.device("meta"):  # no memory for weights to be replaced
            self._network = SentimentLSTM(artifact.network)
        weights = {name: torch.from_numpy(tensor) for name, tensor in artifact.weights.items()}
        largest = max(float(torch.maximum(tensor.max(), -tensor.min())) for tensor in weights.values())
        if self._dtype is not None and largest > torch.finfo(self._dtype).max:
            logger.warning("a weight is too large for %s; the network runs in float32", self._dtype)
            self._dtype = None
        self._network.load_state_dict(weights, assign=True)
        self._network.to(device).eval()

    @classmethod
    def load(cls, folder: Path, device: str = "cpu", precision: str = "fp32") -> Self:
        """The predictor of a model folder.

        Raises:
            ArtifactError: a file is missing or damaged.
        """
        return cls(load_artifact(folder), device, precision)

    def predict(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Label, its probability ("score") and that of "positive", and doubts about them, for each text."""
        encoded = [self._encode(text) for text in texts]
        logits = self._logits(Sequences.from_lists([ids for ids, _ in encoded]))
        probabilities = torch.from_numpy(logits).double().sigmoid().tolist()
        return [
            self._result(ids, is_truncated, probability)
            for (ids, is_truncated), probability in zip(encoded, probabilities, strict=True)
        ]

    def _logits(self, sequences: Sequences) -> NDArray[np.float32]:
        logits = evaluate(self._network, sequences, dtype=self._dtype)
        if self._dtype is not None and not np.isfinite(logits).all():  # too large for the reduced precision
            logits = evaluate(self._network, sequences)
        if self._ngram_model is not None:
            logits += self._ngram_model.logits(sequences)
        if not np.isfinite(logits).all():
            raise ValueError("a logit is not finite")
        return logits

    def _result(self, ids: NDArray[np.int32], is_truncated: bool, probability: float) -> dict[str, Any]:
        unknown = int((ids == UNK_ID).sum())
        result: dict[str, Any]
        if unknown == len(ids):
            result = {"label": None, "score": None, "probability": None, "warning": "no known word"}
        else:
            label, score = ("positive", probability) if probability > 0.5 else ("negative", 1 - probability)
            result = {"label": label, "score": round(score, 6), "probability": round(probability, 6)}
            if exceeds(unknown, len(ids), self._unknown_limit):
                result["warning"] = f"{100 * unknown / len(ids):.0f} % unknown words"
        if is_truncated:
            result["truncated"] = True
        return {**result, "_unknown_share": unknown / max(1, len(ids))}

    def metrics(self, results: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Mean fraction of unknown words."""
        shares = [result["_unknown_share"] for result in results]
        return {"unknown_share": round(sum(shares) / max(1, len(shares)), 4)}

    def _encode(self, text: str) -> tuple[NDArray[np.int32], bool]:
        """The ids of a text, and whether they are those of a part of it."""
        words = tokenize(text, self._stop_words, self._text.tokenizer)
        ids = np.array(self._vocabulary.ids(words), np.int32)
        truncated = truncate(ids, self._text.max_length, self._text.truncate)
        return truncated, len(text) > MAX_CHARACTERS or len(ids) > len(truncated)
