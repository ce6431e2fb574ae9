"""A multi-model endpoint: the platform's routes and their cost."""

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.image.containers import Answer, Container, inspect
from tests.support.prometheus import families, value

MULTI_MODEL = ("--env", "SAGEMAKER_MULTI_MODEL=true", "--publish", "127.0.0.1::8080")
URL = "/opt/ml/models/{}/model"


@pytest.fixture(scope="module")
def models(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """/opt/ml/models with two models, a damaged model and a link to another folder."""
    folder = tmp_path_factory.mktemp("models")
    for name in ("first", "second", "damaged"):
        shutil.copytree(trained / "model", folder / name / "model")
    (folder / "damaged" / "model" / "model.safetensors").write_bytes(b"")
    (folder / "link").symlink_to("/opt/program")
    return folder


def start(image: str, models: Path, *options: str, expect: Sequence[str] = ()) -> Container:
    mount = ("--volume", f"{models}:/opt/ml/models:ro")
    return Container(image, "serve", options=(*MULTI_MODEL, *mount, *options), expect=expect)


@pytest.fixture(scope="module")
def server(image: str, models: Path) -> Iterator[Container]:
    with start(image, models) as container:
        container.wait_until_it_serves()
        yield container


def load(container: Container, name: str, url: str) -> Answer:
    body = json.dumps({"model_name": name, "url": url}).encode()
    return container.request("/models", body, Content_Type="application/json")


def unload(container: Container, name: str) -> Answer:
    return container.request(f"/models/{name}", method="DELETE")


def invoke(container: Container, name: str) -> Answer:
    return container.request(f"/models/{name}/invoke", b"good", Content_Type="text/plain")


@pytest.fixture
def first(server: Container) -> Iterator[Container]:
    """The server with one model loaded."""
    assert load(server, "first", URL.format("first")).status == 200
    yield server
    unload(server, "first")


def test_server_is_healthy_without_a_model(server: Container) -> None:
    assert server.ping() == 200


def test_loaded_model_answers(first: Container) -> None:
    answer = invoke(first, "first")
    assert answer.status == 200
    assert json.loads(answer.body)[0]["label"] in ("positive", "negative")


def test_metrics_are_labeled_by_loaded_models(first: Container) -> None:
    invoke(first, "first")
    invoke(first, "none")
    body = first.request("/metrics").body
    assert value(body, "byoc_workers_ready", model="first") == 1
    labels = {sample.labels["model"] for sample in families(body)["byoc_texts"].samples}
    assert labels <= {"first", ""}


def test_loaded_models_are_listed(first: Container) -> None:
    expected = {"modelName": "first", "modelUrl": URL.format("first")}
    assert json.loads(first.request("/models").body) == {"models": [expected]}
    assert json.loads(first.request("/models/first").body) == expected


def test_taken_name_is_409(first: Container) -> None:
    assert load(first, "first", URL.format("second")).status == 409


def test_unloaded_model_is_gone(server: Container) -> None:
    load(server, "second", URL.format("second"))
    assert unload(server, "second").status == 200
    assert invoke(server, "second").status == 404
    assert json.loads(server.request("/models").body) == {"models": []}


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_unknown_model_is_404(server: Container, method: str) -> None:
    assert server.request("/models/none", method=method).status == 404


def test_invoking_an_unknown_model_is_404(server: Container) -> None:
    assert invoke(server, "none").status == 404


@pytest.mark.parametrize(
    "url",
    [
        *("/opt/program/code", "/opt/ml/models/../../program", "/opt/ml/models", "/opt/ml/models/link/code"),
        *("https://example.com/model.mar", "file:///opt/ml/models/first/model", "", "first/model"),
    ],
)
def test_url_outside_the_platform_is_400(server: Container, url: str) -> None:
    answer = load(server, "outside", url)
    assert answer.status == 400
    assert "below /opt/ml/models" in json.loads(answer.body)["error"]


def test_damaged_artifact_is_named(server: Container) -> None:
    answer = load(server, "damaged", URL.format("damaged"))
    assert answer.status == 400
    assert "model.safetensors" in json.loads(answer.body)["error"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model_name": "a"}', b'{"model_name": 1, "url": "b"}'])
def test_malformed_load_request_is_400(server: Container, body: bytes) -> None:
    assert server.request("/models", body, Content_Type="application/json").status == 400


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        *(("PUT", "/models", 405), ("PUT", "/models/first", 405), ("GET", "/models/first/invoke", 405)),
        *(
            ("POST", "/invocations", 404),
            ("POST", "/predictions/first", 404),
            ("GET", "/api-description", 404),
        ),
        *(("POST", "/models/first", 405), ("POST", "/models/first/predict", 404)),
    ],
)
def test_unknown_route_is_refused(server: Container, method: str, path: str, status: int) -> None:
    assert server.request(path, method=method).status == status


def test_model_without_memory_is_507(image: str, models: Path) -> None:
    with start(image, models, "--memory", "600m", expect=['"path":"/models","status":507']) as container:
        container.wait_until_it_serves()
        assert load(container, "first", URL.format("first")).status == 200
        answer = load(container, "second", URL.format("second"))
        assert answer.status == 507
        assert "MiB are free" in json.loads(answer.body)["error"]
        assert len(container.workers()) == 1
        assert invoke(container, "first").status == 200


def test_model_without_parent_can_be_reloaded(image: str, models: Path) -> None:
    expect = ["the parent of the workers of first is gone"]
    with start(image, models, expect=expect) as container:
        container.wait_until_it_serves()
        load(container, "first", URL.format("first"))
        container.signal("KILL", container.process("model_service_worker").pid)
        end = time.monotonic() + 30
        while container.request("/models/first").status != 404 and time.monotonic() < end:
            time.sleep(0.5)
        assert load(container, "first", URL.format("first")).status == 200
        assert invoke(container, "first").status == 200


def used(container: Container) -> tuple[int, int, int]:
    """Memory in MiB without the page cache, processes, files below /tmp."""
    code = (
        "import pathlib, psutil;"
        "print(sum(p.memory_info().rss for p in psutil.process_iter()) >> 20,"
        " len(psutil.pids()), len([*pathlib.Path('/tmp').rglob('*')]))"
    )
    memory, processes, files = map(int, container.execute("python", "-c", code).split())
    return memory, processes, files


def test_thirty_load_cycles_leave_nothing(image: str, models: Path) -> None:
    seen = []
    with start(image, models) as container:
        container.wait_until_it_serves()
        for _ in range(30):
            assert load(container, "first", URL.format("first")).status == 200
            assert invoke(container, "first").status == 200
            assert unload(container, "first").status == 200
            seen.append(used(container))
    memory, processes, files = zip(*seen, strict=True)
    # Java reserves its memory in the first cycles and returns little of it.
    assert max(memory[-10:]) < max(memory[10:20]) + 30, memory
    assert max(processes[-10:]) == max(processes[:10])
    assert max(files[-10:]) == max(files[:10])


def test_label_declares_multi_models(image: str) -> None:
    label = "com.amazonaws.sagemaker.capabilities.multi-models"
    assert inspect(image, f'{{{{index .Config.Labels "{label}"}}}}') == "true"
