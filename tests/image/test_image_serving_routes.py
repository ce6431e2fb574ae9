"""The public port: four routes, bounded bodies, no code from an artifact."""

import contextlib
import http.client
import json
import shutil
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.image.containers import Container, serving

MIB = 2**20
HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
LIMIT = 25 * MIB
JSON = "application/json"


@pytest.fixture(scope="module")
def server(image: str, trained: Path) -> Iterator[Container]:
    """A serving container that these tests leave unchanged."""
    with serving(image, trained / "model") as container:
        yield container


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/models", "/models/model", "/predictions/model", "/models/model/invoke", "/model/predict"),
        *("/api-description", "/ping/", "/invocations/x", "//models"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_unknown_path_is_404(server: Container, method: str, path: str) -> None:
    answer = server.request(path, method=method)
    assert answer.status == 404
    assert json.loads(answer.body)["error"]


def test_malformed_path_is_400(server: Container) -> None:
    answer = server.request("/%2e%2e/models")
    assert answer.status == 400
    assert json.loads(answer.body)["error"]


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/ping", "GET, HEAD"), ("/metrics", "GET"), ("/invocations", "POST"), ("/execution-parameters", "GET")],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "FOO"])
def test_unknown_method_is_405(server: Container, path: str, allowed: str, method: str) -> None:
    answer = server.request(path, method=method)
    if method in allowed.split(", "):
        assert answer.status != 405
    else:
        assert (answer.status, answer.headers.get("Allow")) == (405, allowed)


def test_execution_parameters_follow_the_cores(image: str, trained: Path) -> None:
    with serving(image, trained / "model", options=("--cpus", "1")) as container:
        assert json.loads(container.request("/execution-parameters").body) == {
            "MaxConcurrentTransforms": 2,
            "BatchStrategy": "MULTI_RECORD",
            "MaxPayloadInMB": 6,
        }


def body_of(size: int) -> bytes:
    """A JSON list of texts of 20,000 characters in exactly ``size`` bytes."""
    count = size // 20_003
    texts = ["x" * 20_000] * count
    body = json.dumps(texts, separators=(",", ":"))
    return body.encode() + b" " * (size - len(body))


@pytest.mark.parametrize("size", [6_291_456, LIMIT])
def test_body_within_limit_is_answered(server: Container, size: int) -> None:
    body = body_of(size)
    assert len(body) == size
    answer = server.request("/invocations", body, Content_Type=JSON)
    assert len(json.loads(answer.body)) == size // 20_003


def test_body_beyond_limit_is_413(server: Container) -> None:
    answer = server.request("/invocations", body_of(LIMIT + 1), Content_Type=JSON)
    assert answer.status == 413
    assert "larger than allowed" in json.loads(answer.body)["error"]


def chunked(container: Container, chunks: Iterator[bytes]) -> int:
    """The status of a chunked request."""
    connection = http.client.HTTPConnection(*container.address(), timeout=60)
    headers = {"Content-Type": "application/json"}
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused before the end
        connection.request("POST", "/invocations", chunks, headers, encode_chunked=True)
    try:
        return connection.getresponse().status
    finally:
        connection.close()


def test_chunked_body_is_answered(server: Container) -> None:
    assert chunked(server, iter([b'["good",', b'"bad"]'])) == 200


def test_chunked_body_beyond_limit_is_413(server: Container) -> None:
    assert chunked(server, (b" " * MIB for _ in range(26))) == 413


@pytest.mark.parametrize(("value", "largest"), [("1", 6_291_456), ("30", 30 * MIB)])
def test_limit_is_at_least_sagemakers(image: str, trained: Path, value: str, largest: int) -> None:
    options = ("--env", f"SAGEMAKER_MAX_PAYLOAD_IN_MB={value}")
    with serving(image, trained / "model", options=options) as container:
        assert container.request("/invocations", body_of(largest), Content_Type=JSON).status == 200
        assert container.request("/invocations", body_of(largest + 1), Content_Type=JSON).status == 413


def test_limit_0_accepts_a_larger_body(image: str, trained: Path) -> None:
    options = ("--env", "SAGEMAKER_MAX_PAYLOAD_IN_MB=0")
    with serving(image, trained / "model", options=options) as container:
        assert container.request("/invocations", body_of(110 * MIB), Content_Type=JSON).status == 200


def test_large_answer_is_complete(image: str, trained: Path) -> None:
    options = ("--env", "SERVE_MAX_TEXTS=1000000", "--env", "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS=600")
    with serving(image, trained / "model", options=options) as container:
        answer = container.request(
            "/invocations", json.dumps(["", *["a"] * 560_000]).encode(), Content_Type=JSON
        )
        assert answer.status == 200
        assert len(answer.body) > LIMIT


def test_too_many_texts_are_400(server: Container) -> None:
    answer = server.request("/invocations", json.dumps(["a"] * 10_001).encode(), Content_Type=JSON)
    assert answer.status == 400
    assert "10000 texts" in json.loads(answer.body)["error"]


def test_limits_of_texts_can_be_set(image: str, trained: Path) -> None:
    options = ("--env", "SERVE_MAX_TEXTS=1", "--env", "SERVE_MAX_CHARACTERS=4")
    with serving(image, trained / "model", options=options) as container:
        assert container.request("/invocations", b'["good"]', Content_Type=JSON).status == 200
        assert container.request("/invocations", b'["good", "bad"]', Content_Type=JSON).status == 400
        assert container.request("/invocations", b'["worse"]', Content_Type=JSON).status == 400


def test_custom_attributes_are_returned(server: Container) -> None:
    answer = server.request(
        "/invocations", b"good", Content_Type="text/plain", X_Amzn_SageMaker_Custom_Attributes="trace=1; b"
    )
    assert answer.headers["X-Amzn-SageMaker-Custom-Attributes"] == "trace=1; b"


def test_headers_hide_the_programs_inside(server: Container) -> None:
    headers = server.predict("good").headers
    assert set(headers) == {"Server", "Date", "Content-Type", "Content-Length", "Connection"}
    assert headers["Server"] == "nginx"


def test_connections_are_kept_alive(server: Container) -> None:
    def client(_number: int) -> list[bool]:
        connection = http.client.HTTPConnection(*server.address(), timeout=60)
        statuses = []
        for i in range(20):
            # An error does not end the connection.
            path, status = ("/nothing", 404) if i % 5 == 4 else ("/invocations", 200)
            connection.request("POST", path, b"good", {"Content-Type": "text/plain"})
            own = connection.sock
            response = connection.getresponse()
            response.read()
            assert connection.sock is own
            statuses.append(response.status == status)
        connection.close()
        return statuses

    with ThreadPoolExecutor(16) as clients:
        assert all(all(statuses) for statuses in clients.map(client, range(16)))


def test_slow_client_keeps_no_worker(server: Container) -> None:
    with socket.create_connection(server.address()) as slow:
        slow.sendall(HEAD + b"Content-Length: 9\r\n\r\ngo")
        for _ in range(4):
            assert server.predict("good").status == 200
        slow.sendall(b"od film")
        assert slow.recv(65_536).startswith(b"HTTP/1.1 200 ")


def test_aborted_request_harms_no_other(server: Container) -> None:
    for _ in range(20):
        with socket.create_connection(server.address()) as gone:
            gone.sendall(HEAD + b"Content-Length: 4\r\n\r\ngood")
            gone.shutdown(socket.SHUT_WR)
    time.sleep(0.5)
    assert server.predict("good").status == 200


PLANTED = {
    "code/inference.py": "raise SystemExit('planted')",
    "inference.py": "raise SystemExit('planted')",
    "torch.py": "raise SystemExit('planted')",
    "sentiment.py": "raise SystemExit('planted')",
    "sitecustomize.py": "raise SystemExit('planted')",
    "code/requirements.txt": "planted==1.0",
    "requirements.txt": "planted==1.0",
    "MANIFEST.json": '{"model": {"handler": "planted:handle"}}',
    "MAR-INF/MANIFEST.json": '{"model": {"handler": "planted:handle"}}',
    "com/amazonaws/ml/mms/ModelServer.class": "planted",
}


def test_artifact_files_are_never_executed(image: str, trained: Path, tmp_path: Path) -> None:
    model = shutil.copytree(trained / "model", tmp_path / "model")
    for name, content in PLANTED.items():
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_text(content)
    with serving(image, model, expect=["ignored: /opt/ml/model/code/inference.py"]) as container:
        assert container.predict("good").status == 200
        assert "planted" not in container.log()


def test_no_process_works_in_model_folder(server: Container) -> None:
    folders = server.execute("bash", "-c", "readlink /proc/[0-9]*/cwd || true").splitlines()
    assert folders
    assert not [folder for folder in folders if folder.startswith("/opt/ml")]


def test_class_path_excludes_working_directory(server: Container) -> None:
    command = server.process("com.amazonaws.ml.mms.ModelServer").command.split()
    entries = command[command.index("-cp") + 1].split(":")
    assert all(entry.startswith("/opt/") for entry in entries)


def test_only_one_port_is_open(server: Container) -> None:
    code = "import psutil; print(*{c.laddr.port for c in psutil.net_connections() if c.status == 'LISTEN'})"
    assert server.execute("python", "-c", code) == "8080"


def test_client_process_is_not_root(server: Container) -> None:
    worker = server.process("nginx: worker")
    assert server.execute("stat", "--format", "%U", f"/proc/{worker.pid}") == "nobody"
