"""Drive the image by the SageMaker Python SDK 2 in local mode; writes the observations to seen.json.

Runs in the environment of requirements/sdk2.txt: ``version2.py IMAGE FOLDER PORT``. FOLDER holds the channel
``training``, and the files ``batch/reviews.jsonl`` and ``all/reviews.jsonl``.
"""

import json
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

from sagemaker.deserializers import JSONDeserializer
from sagemaker.estimator import Estimator
from sagemaker.local import LocalSession
from sagemaker.predictor import Predictor
from sagemaker.serializers import CSVSerializer, JSONSerializer

REVIEWS = [
    'A slow start, but then, "scene by scene", it grows.\nOne of the best, I say;\r\nreally.',
    "Two hours of my life that nobody will give back.<br /><br />Stale, dull, and endless.",
]
OWN_HYPERPARAMETERS: dict[str, Any] = {
    "an-int": 3,
    "a_float": 0.001,
    "a_text": "lstm",
    "a_number_as_text": "007",
    "a_truth": True,
    "a_list": [1, "a"],
    "a_mapping": {"b": 1},
}
OWN_SCRIPT = """
import json, os, pathlib, sys
model = pathlib.Path(os.environ["SM_MODEL_DIR"])
(model / "mine.json").write_text(json.dumps({"hyperparameters": json.loads(os.environ["SM_HPS"])}))
"""


def estimator(image: str, session: LocalSession, output: Path, **arguments: Any) -> Estimator:
    """An estimator that trains on this machine."""
    return Estimator(
        image_uri=image,
        role="arn:aws:iam::123456789012:role/sagemaker",
        instance_count=1,
        instance_type="local",
        sagemaker_session=session,
        output_path=output.as_uri(),
        **arguments,
    )


def names_in(archive: Path) -> list[str]:
    """The files in an archive."""
    with tarfile.open(archive) as files:
        return sorted(member.name for member in files if member.isfile())


def fit(image: str, session: LocalSession, folder: Path) -> tuple[Estimator, dict[str, Any]]:
    """Train with hyperparameters of every type."""
    hyperparameters = {"epochs": 1, "hidden_dim": 16, "learning_rate": 1e-2, "truncate": "head"}
    trained = estimator(image, session, folder / "output", hyperparameters=hyperparameters)
    trained.fit({"training": (folder / "training").as_uri()})
    with tarfile.open(folder / "output" / "model.tar.gz") as files:
        summary = files.extractfile("model.json")
        assert summary
        recorded = json.load(summary)["training"]["hyperparameters"]
    return trained, {
        "model": names_in(folder / "output" / "model.tar.gz"),
        "output": names_in(folder / "output" / "output.tar.gz"),
        "hyperparameters": {name: recorded[name] for name in hyperparameters},
    }


def fit_own(image: str, session: LocalSession, folder: Path) -> dict[str, Any]:
    """Train with a user's script."""
    source = folder / "source"
    source.mkdir()
    (source / "mine.py").write_text(OWN_SCRIPT)
    own = estimator(
        image,
        session,
        folder / "own",
        entry_point="mine.py",
        source_dir=str(source),
        hyperparameters=OWN_HYPERPARAMETERS,
    )
    own.fit({"training": (folder / "training").as_uri()})
    with tarfile.open(folder / "own" / "model.tar.gz") as files:
        report = files.extractfile("mine.json")
        assert report
        return {"sent": OWN_HYPERPARAMETERS, "received": json.load(report)["hyperparameters"]}


def predict(trained: Estimator) -> dict[str, Any]:
    """Deploy, and ask through the SDK's serializers."""
    start = time.monotonic()
    endpoint: Predictor = trained.deploy(
        initial_instance_count=1,
        instance_type="local",
        serializer=JSONSerializer(),
        deserializer=JSONDeserializer(),
    )
    try:
        seen = {"seconds": time.monotonic() - start, "json": endpoint.predict({"inputs": REVIEWS})}
        endpoint.serializer = CSVSerializer()
        seen["csv"] = endpoint.predict([[review] for review in REVIEWS])
        return seen
    finally:
        endpoint.delete_endpoint()


def transform(trained: Estimator, folder: Path, strategy: str, batch: str = "batch") -> dict[str, Any]:
    """Batch transform over the JSON Lines of a folder."""
    output = folder / f"{strategy}-{batch}"
    output.mkdir()
    job = trained.transformer(
        instance_count=1,
        instance_type="local",
        strategy=strategy,
        assemble_with="Line",
        accept="application/jsonlines",
        output_path=output.as_uri(),
    )
    job.transform(
        (folder / batch).as_uri(), content_type="application/jsonlines", split_type="Line", logs=False
    )
    return {"lines": (output / "reviews.jsonl.out").read_text().split("\n")}


def main(image: str, folder: Path, port: int) -> None:
    """Run every step."""
    session = LocalSession()
    session.config = {"local": {"local_code": True, "serving_port": port}}
    for name in ("output", "own"):
        (folder / name).mkdir()
    trained, seen = fit(image, session, folder)
    seen = {"fit": seen, "own": fit_own(image, session, folder), "predict": predict(trained)}
    for strategy in ("SingleRecord", "MultiRecord"):
        seen[strategy] = transform(trained, folder, strategy)
    seen["all"] = transform(trained, folder, "MultiRecord", "all")
    (folder / "seen.json").write_text(json.dumps(seen))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
