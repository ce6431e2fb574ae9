"""The four functions of a sagemaker-inference user: load the model, parse, predict, respond."""

import json
from pathlib import Path

from sentiment.model.predictor import Prediction, Predictor


def model_fn(model_dir: str) -> Predictor:
    """Load the model."""
    return Predictor.load(Path(model_dir))


def input_fn(body: str, _content_type: str) -> list[str]:
    """Parse a request."""
    return [json.loads(body)["inputs"]]


def predict_fn(texts: list[str], predictor: Predictor) -> list[Prediction]:
    """Predict each text."""
    return predictor.predict(texts)


def output_fn(predictions: list[Prediction], _accept: str) -> str:
    """Serialize the response."""
    return json.dumps([{"label": item.label, "probability": item.probability} for item in predictions])
