"""The model behind FastAPI."""

from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request

from sentiment.model.predictor import Predictor

predictor = Predictor.load(Path("/opt/ml/model"))


# Not in a thread: a worker has one core, and the network keeps it busy.
async def invocations(request: Request) -> list[dict[str, Any]]:
    """Predict one text."""
    content = await request.json()
    predictions = predictor.predict([content["inputs"]])
    return [{"label": item["label"], "probability": item["probability"]} for item in predictions]


app = FastAPI()
app.add_api_route("/invocations", invocations, methods=["POST"])
