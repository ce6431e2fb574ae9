"""The four functions of a sagemaker-inference user: load the model, parse, predict, respond."""

import json
from pathlib import Path
from typing import Any

from sentiment.model.predictor import Predictor


def model_fn(model_dir: str) -> Predictor:
    """Load the model."""
    return Predictor.load(Path(model_dir))


def input_fn(body: str, _content_type: str) -> list[str]:
    """Parse a request."""
    return [json.loads(body)["inputs"]]


def predict_fn(texts: list[str], predictor: Predictor) -> list[dict[str, Any]]:
    """Predict each text."""
    return predictor.predict(texts)


def output_fn(predictions: list[dict[str, Any]], _accept: str) -> str:
    """Serialize the response."""
    return json.dumps([{"label": item["label"], "probability": item["probability"]} for item in predictions])
