"""How long one review takes, and many: the network alone, the predictor, and a request over HTTP.

    benchmarks/run.sh prediction [--epochs 1]

A default job is trained on the real reviews first, for an epoch. Of what it holds out 300 reviews are
predicted one by one, and all of them in batches of 64, for the accuracy that a precision costs. int8 is
torch's dynamic quantization of the LSTM and the linear layer. HTTP is one client of our server, by nginx
where there is one, that waits for each answer. Medians in milliseconds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from benchmarks.report import REVIEWS, ROOT, save
from byoc.errors import TrainingError
from sentiment.data.corpus import is_held_out
from sentiment.data.reviews import Review, read_channel
from sentiment.hyperparameters import Hyperparameters
from sentiment.model.network import evaluate
from sentiment.model.precision import Hardware
from sentiment.model.predictor import Predictor
from sentiment.text.sequences import Sequences
from tests.support.programs import Server

ONE_BY_ONE = 300
BATCH = 64
PRECISIONS = ("fp32", "bf16", "int8")


def train(base: Path, epochs: int) -> list[Review]:
    """Train the default job, and return the reviews that it held out."""
    channel = base / "input" / "data" / "training"
    channel.mkdir(parents=True)
    (channel / "reviews.csv").symlink_to(REVIEWS)
    program = [sys.executable, str(ROOT / "code" / "train.py"), f"--epochs={epochs}"]
    subprocess.run(program, env=os.environ | {"SAGEMAKER_BASE_DIR": str(base)}, stdout=sys.stderr, check=True)
    settings = Hyperparameters()
    reviews = read_channel("training", channel)
    return [each for each in reviews if is_held_out(each, settings.validation_fraction, settings.seed)]


def load(model: Path, precision: str) -> Predictor:
    """A predictor of that precision.

    Raises:
        TrainingError: the hardware does not have it.
    """
    if precision != "int8":
        Hardware.of(torch.device("cpu")).resolve(precision)
        return Predictor.load(model, precision=precision)
    predictor = Predictor.load(model)
    layers = {torch.nn.LSTM, torch.nn.Linear}
    quantize = torch.ao.quantization.quantize_dynamic
    predictor._network = quantize(predictor._network, layers, torch.qint8)  # type: ignore[no-untyped-call]
    return predictor


def milliseconds(work: Callable[[str], object], texts: list[str]) -> float:
    """The median time of one call a text, after the first few."""
    times = []
    for text in texts:
        start = time.perf_counter()
        work(text)
        times.append(1_000 * (time.perf_counter() - start))
    return round(statistics.median(times[len(times) // 10 :]), 3)


def measure(predictor: Predictor, reviews: list[Review]) -> dict[str, float]:
    """Times of one review at a time and of batches, and the accuracy over all of them."""
    texts = [review.text for review in reviews]
    ready = {text: Sequences.of([predictor._ids(text)]) for text in texts[:ONE_BY_ONE]}
    ready = {text: predictor._phrases.inserted(sequences) for text, sequences in ready.items()}
    alone = milliseconds(
        lambda text: evaluate(predictor._network, ready[text], dtype=predictor._dtype), texts[:ONE_BY_ONE]
    )
    one = milliseconds(lambda text: predictor.predict([text]), texts[:ONE_BY_ONE])
    start = time.perf_counter()
    batches = [predictor.predict(texts[i : i + BATCH]) for i in range(0, len(texts), BATCH)]
    seconds = time.perf_counter() - start
    found = np.array([prediction.probability > 0.5 for batch in batches for prediction in batch])
    labels = np.array([review.label for review in reviews])
    return {
        "network_ms": alone,
        "predictor_ms": one,
        "reviews_per_second_in_batches": round(len(texts) / seconds),
        "accuracy": round(float((found == labels).mean()), 4),
    }


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads of torch meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def measure_http(base: Path, reviews: list[Review]) -> float:
    """The median time of a request of one review."""
    server = Server(base, base / "serve.log")
    try:
        server.wait_until_it_is_healthy()

        def ask(text: str) -> None:
            body = json.dumps({"inputs": text}).encode()
            status, _, answer = server.request(
                "POST", "/invocations", body, {"Content-Type": "application/json"}
            )
            assert status == 200, answer

        return milliseconds(ask, [review.text for review in reviews[:ONE_BY_ONE]])
    finally:
        server.stop()


def main() -> None:
    """Train, measure and report."""
    parser = argparse.ArgumentParser(prog="benchmarks/run.sh prediction", description=__doc__)
    parser.add_argument("--epochs", type=int, default=1)
    epochs = parser.parse_args().epochs
    torch.set_flush_denormal(True)
    found: dict[str, dict[str, dict[str, float]] | None] = {}
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        reviews = train(base, epochs)
        for precision in PRECISIONS:
            try:
                predictor = load(base / "model", precision)
            except TrainingError:
                found[precision] = None
                continue
            by_threads = found[precision] = {}
            for count in range(1, torch.get_num_threads() + 1):
                with threads(count):
                    by_threads[f"threads={count}"] = measure(predictor, reviews)
        http = measure_http(base, reviews)
    save("prediction", {"seed": 1, "epochs": epochs, "reviews": len(reviews), **found, "http_ms": http})


if __name__ == "__main__":
    main()
