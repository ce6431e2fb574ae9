"""``docker run IMAGE serve``, as SageMaker starts it: the artifact mounted read-only, one port open."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sentiment.model.predictor import Predictor
from tests.image.containers import Container, docker, probabilities, serving

REVIEWS = [
    'A slow start, but then, "scene by scene", it grows.\nOne of the best, I say;\r\nreally.',
    "Two hours of my life that nobody will give back.<br /><br />Stale, dull, and endless.",
]
BODIES = {
    "application/json": json.dumps({"inputs": REVIEWS}).encode(),
    "application/jsonlines": "\n".join(json.dumps({"text": review}) for review in REVIEWS).encode(),
    "text/csv": "\n".join('"' + review.replace('"', '""') + '"' for review in REVIEWS).encode(),
}
READ_ONLY = ("--read-only", "--tmpfs", "/tmp")  # noqa: S108


@pytest.fixture(scope="module")
def server(image: str, trained: Path) -> Iterator[Container]:
    """A serving container that these tests leave unchanged."""
    with serving(image, trained / "model") as container:
        yield container


@pytest.fixture(scope="module")
def outside(trained: Path) -> list[float]:
    """Predictions of the same artifact outside the image."""
    return [p["probability"] for p in Predictor.load(trained / "model", "cpu").predict(REVIEWS)]


@pytest.mark.parametrize("content_type", BODIES)
def test_prediction_equals_the_one_outside(
    server: Container, outside: list[float], content_type: str
) -> None:
    answer = server.request(
        "/invocations", BODIES[content_type], Content_Type=content_type, Accept="application/json"
    )
    assert probabilities(answer) == pytest.approx(outside, abs=1e-5)


def test_plain_text_prediction_equals_outside(server: Container, outside: list[float]) -> None:
    answer = server.request(
        "/invocations", REVIEWS[0].encode(), Content_Type="text/plain", Accept="application/json"
    )
    assert probabilities(answer) == pytest.approx(outside[:1], abs=1e-5)


def test_ping_is_200(server: Container) -> None:
    assert server.request("/ping").status == 200


def test_unknown_content_type_is_415(server: Container) -> None:
    assert server.request("/invocations", b"x", Content_Type="image/png").status == 415


def test_management_is_not_reachable(server: Container) -> None:
    assert server.request("/models").status == 404


def test_server_needs_no_network(image: str, trained: Path) -> None:
    mount = ("--volume", f"{trained / 'model'}:/opt/ml/model:ro", "--network", "none")
    code = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/ping').status)"
    with Container(image, "serve", options=mount) as container:
        container.wait_for("the model is loaded")
        assert container.execute("python", "-c", code) == "200"


def test_server_runs_on_read_only_files(image: str, trained: Path) -> None:
    with serving(image, trained / "model", options=READ_ONLY) as container:
        assert container.request("/ping").status == 200


def test_stop_exits_with_0(image: str, trained: Path) -> None:
    with serving(image, trained / "model") as container:
        # After 15 seconds it would be killed and exit with 137.
        assert container.stop(15) == 0


def test_stopped_container_starts_again(image: str, trained: Path) -> None:
    with serving(image, trained / "model") as container:
        container.stop(30)
        container.start()
        container.wait_until_it_serves()


def test_killed_container_starts_again(image: str, trained: Path) -> None:
    with serving(image, trained / "model") as container:
        docker("kill", container.id)
        container.wait(30)
        container.start()
        container.wait_until_it_serves()


def test_port_comes_from_the_platform(image: str, trained: Path) -> None:
    options = ("--env", "SAGEMAKER_BIND_TO_PORT=9876")
    with serving(image, trained / "model", options=options, port=9876) as container:
        assert container.request("/ping", port=9876).status == 200


def test_missing_model_exits_with_1(image: str) -> None:
    with Container(image, "serve", expect=['"level": "error".*/opt/ml/model']) as container:
        assert container.wait(60) == 1


def test_example_payloads_are_answered(server: Container) -> None:
    """The payloads of local_test, sent by local_test/predict.sh."""
    local_test = Path(__file__).resolve().parents[2] / "local_test"
    port = docker("port", server.id, "8080/tcp").splitlines()[0].rpartition(":")[2]
    for name in ("payload.json", "payload.csv", "payload.txt"):
        done = subprocess.run(
            [str(local_test / "predict.sh"), str(local_test / name)],
            env={"PATH": "/usr/bin:/bin", "SAGEMAKER_BIND_TO_PORT": port},
            check=True,
            capture_output=True,
        )
        assert done.stdout
