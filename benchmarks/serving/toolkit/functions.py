"""What a user of sagemaker-inference writes: how to load the model, read, predict and answer."""

import json
from pathlib import Path

from sentiment.model.predictor import Prediction, Predictor


def model_fn(model_dir: str) -> Predictor:
    """The model in a folder."""
    return Predictor.load(Path(model_dir))


def input_fn(body: str, _content_type: str) -> list[str]:
    """The texts of a request."""
    return [json.loads(body)["inputs"]]


def predict_fn(texts: list[str], predictor: Predictor) -> list[Prediction]:
    """A prediction for each text."""
    return predictor.predict(texts)


def output_fn(predictions: list[Prediction], _accept: str) -> str:
    """The answer."""
    return json.dumps([{"label": one.label, "probability": one.probability} for one in predictions])
