"""Latency and throughput of predictions: the network, the predictor, and a request over HTTP.

    benchmarks/run.sh prediction [--epochs 1]

A job with default hyperparameters is trained on the 25,000 reviews first. 300 of its held-out reviews are
predicted one by one, and all of them in batches of 64, in one thread. Over HTTP, one client waits for each
answer. Times are medians in milliseconds.
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.harness import ROOT, job_environment, link_reviews, run_job, save
from byoc.errors import TrainingError
from sentiment.data.channels import Review, read_channel
from sentiment.data.split import is_held_out
from sentiment.hyperparameters import Hyperparameters
from sentiment.model.network import evaluate
from sentiment.model.predictor import Predictor
from sentiment.text.sequences import Sequences

ONE_BY_ONE = 300
BATCH = 64
PRECISIONS = ("fp32", "bf16")
PORT = 18_080
URL = f"http://127.0.0.1:{PORT}/invocations"


def train(base: Path, epochs: int) -> list[Review]:
    """Train a job with default hyperparameters, and return the reviews that it held out."""
    channel = link_reviews(base)
    run_job(base, epochs=epochs)
    defaults = Hyperparameters()
    reviews = read_channel("training", channel)
    return [review for review in reviews if is_held_out(review, defaults.validation_fraction, defaults.seed)]


def milliseconds(work: Callable[[str], object], texts: list[str]) -> float:
    """Median time of one call per text, without the first tenth."""
    times = []
    for text in texts:
        start = time.perf_counter()
        work(text)
        times.append(1_000 * (time.perf_counter() - start))
    return round(statistics.median(times[len(times) // 10 :]), 3)


def measure(predictor: Predictor, reviews: list[Review]) -> dict[str, float]:
    """Times of single reviews and of batches, and the accuracy over all reviews."""
    texts = [review.text for review in reviews]
    inputs = {text: Sequences.from_lists([predictor._encode(text)[0]]) for text in texts[:ONE_BY_ONE]}
    network_ms = milliseconds(
        lambda text: evaluate(predictor._network, inputs[text], dtype=predictor._dtype), texts[:ONE_BY_ONE]
    )
    predictor_ms = milliseconds(lambda text: predictor.predict([text]), texts[:ONE_BY_ONE])
    start = time.perf_counter()
    batches = [predictor.predict(texts[i : i + BATCH]) for i in range(0, len(texts), BATCH)]
    seconds = time.perf_counter() - start
    positive = np.array([prediction["probability"] > 0.5 for batch in batches for prediction in batch])
    labels = np.array([review.label for review in reviews])
    return {
        "network_ms": network_ms,
        "predictor_ms": predictor_ms,
        "reviews_per_second_in_batches": round(len(texts) / seconds),
        "accuracy": round(float((positive == labels).mean()), 4),
    }


def post(text: str) -> None:
    """Request a prediction on a new connection.

    Raises:
        OSError: the answer is not 200.
    """
    body = json.dumps({"inputs": text}).encode()
    request = urllib.request.Request(URL, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as response:  # noqa: S310 (the address is http on loopback)
        response.read()


def measure_http(base: Path, reviews: list[Review]) -> float:
    """Median time of a request with one review."""
    environment = job_environment(base) | {"SAGEMAKER_BIND_TO_PORT": str(PORT)}
    command = [sys.executable, str(ROOT / "container" / "serve")]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as server:
        try:
            while True:
                with contextlib.suppress(OSError):
                    post("good")
                    break
                if server.poll() is not None:
                    raise SystemExit("error: the server did not start")
                time.sleep(0.2)
            return milliseconds(post, [review.text for review in reviews[:ONE_BY_ONE]])
        finally:
            server.terminate()


def main() -> None:
    """Train, measure and save."""
    parser = argparse.ArgumentParser(prog="benchmarks/run.sh prediction", description=__doc__)
    parser.add_argument("--epochs", type=int, default=1)
    epochs = parser.parse_args().epochs
    torch.set_flush_denormal(True)
    torch.set_num_threads(1)
    figures: dict[str, dict[str, dict[str, float]] | None] = {}
    with tempfile.TemporaryDirectory() as temporary:
        base = Path(temporary)
        reviews = train(base, epochs)
        for precision in PRECISIONS:
            try:
                predictor = Predictor.load(base / "model", precision=precision)
                figures[precision] = {"threads=1": measure(predictor, reviews)}
            except TrainingError:
                figures[precision] = None
        http_ms = measure_http(base, reviews)
    save("prediction", {"seed": 1, "epochs": epochs, "reviews": len(reviews), **figures, "http_ms": http_ms})


if __name__ == "__main__":
    main()
