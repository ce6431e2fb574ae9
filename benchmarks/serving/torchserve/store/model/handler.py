"""TorchServe's handler: one answer per request of a batch."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sentiment.model.predictor import Predictor

_predictor: Predictor | None = None


def handle(data: Sequence[Mapping[str, Any]] | None, _context: Any) -> list[Any] | None:
    """Load the model if there is no data; otherwise predict."""
    global _predictor  # noqa: PLW0603  # TorchServe knows a handler as a function
    if _predictor is None:
        _predictor = Predictor.load(Path("/opt/ml/model"))
    if data is None:
        return None
    # JSON bodies arrive parsed.
    bodies = [item["body"] for item in data]
    texts = [(body if isinstance(body, dict) else json.loads(body))["inputs"] for body in bodies]
    predictions = _predictor.predict(texts)
    return [[{"label": item["label"], "probability": item["probability"]}] for item in predictions]
