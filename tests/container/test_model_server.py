"""Multi Model Server's configuration, command and management API; tests/end_to_end runs the server."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from serving import model_server
from serving.model_server import Answer, ModelServer
from serving.settings import Settings
from tests.support.unix_http import Request, Response, answering


@pytest.fixture
def java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only Java of the machine."""
    program = tmp_path / "jdk" / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    return program


def properties(environment: dict[str, str] | None = None) -> dict[str, str]:
    lines = model_server.configuration(
        Settings.from_environment(environment or {}), Path("/run/x")
    ).splitlines()
    return dict(line.split("=", 1) for line in lines)


def command(**environment: str) -> list[str]:
    return model_server.command(Settings.from_environment(environment), Path("/run/x"))


def test_server_listens_on_unix_sockets_only() -> None:
    values = properties()
    assert values["inference_address"] == "unix:/run/x/mms.sock"
    assert values["management_address"] == "unix:/run/x/management.sock"


def test_configuration_loads_no_model() -> None:
    assert "load_models" not in properties()


def test_configuration_ignores_the_environment() -> None:
    assert "enable_envvars_config" not in properties()


def test_configuration_expands_no_variable() -> None:
    # The server replaces $$NAME$$ by the value of a variable.
    assert not any("$" in value for value in properties().values())


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "3", "default_workers_per_model", "3"),
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "50", "max_request_size", str(50 * 2**20)),
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "0", "max_request_size", str(2**31 - 1)),
        ("SERVE_MAX_REQUESTS", "7", "job_queue_size", "7"),
    ],
)
def test_settings_appear_in_the_configuration(variable: str, text: str, name: str, value: str) -> None:
    assert properties({variable: text})[name] == value


def test_answers_have_no_size_limit() -> None:
    assert properties()["max_response_size"] == str(2**31 - 1)


def test_bodies_reach_the_handler_undecoded() -> None:
    assert properties()["decode_input_request"] == "false"


def test_server_timeout_exceeds_the_supervisors() -> None:
    values = properties({"SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": "100", "SERVE_BATCH_SIZE": "8"})
    assert int(values["default_response_timeout_seconds"]) >= 100 * 8 + model_server.LOAD_SECONDS


def test_java_home_is_used(java: Path) -> None:
    assert command()[0] == str(java)


def test_java_on_the_path_is_used(java: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(java.parent))
    assert command()[0] == str(java)


@pytest.mark.usefixtures("java")
def test_missing_java_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME")
    with pytest.raises(FileNotFoundError, match="no Java found; put it on the PATH or set JAVA_HOME"):
        command()


@pytest.mark.usefixtures("java")
def test_missing_package_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_server, "find_spec", lambda _name: None)
    with pytest.raises(FileNotFoundError, match="the package multi-model-server is not installed"):
        command()


@pytest.mark.usefixtures("java")
def test_class_path_has_classes_and_server() -> None:
    arguments = command()
    classes, server = arguments[arguments.index("-cp") + 1].split(":")
    assert classes == str(model_server.CLASSES)
    assert server.endswith("/mms/frontend/*")


@pytest.mark.usefixtures("java")
def test_class_path_is_absolute() -> None:
    arguments = command()
    parts = arguments[arguments.index("-cp") + 1].split(":")
    assert all(Path(part).is_absolute() for part in parts)


@pytest.mark.usefixtures("java")
def test_heap_and_buffers_are_bounded() -> None:
    settings = Settings.from_environment({})
    assert {
        f"-Xmx{settings.heap_bytes // 2**20}m",
        f"-XX:MaxDirectMemorySize={settings.heap_bytes // 2**20}m",
    } < set(command())


@pytest.mark.usefixtures("java")
def test_additional_java_arguments_take_precedence() -> None:
    arguments = command(SAGEMAKER_MODEL_SERVER_VMARGS="-Xmx9m -Dx=y")
    position = arguments.index("-Xmx9m")
    assert arguments[position + 1] == "-Dx=y"
    assert max(i for i, argument in enumerate(arguments) if argument.startswith("-X")) == position
    assert position < arguments.index("-cp")


@pytest.mark.usefixtures("java")
def test_workers_run_in_this_python() -> None:
    arguments = command()
    assert arguments[arguments.index("--python") + 1] == sys.executable


@pytest.mark.usefixtures("java")
def test_log_configuration_is_log4j2_xml() -> None:
    assert f"-Dlog4j.configurationFile={model_server.CONTAINER / 'mms' / 'log4j2.xml'}" in command()
    assert (model_server.CONTAINER / "mms" / "log4j2.xml").is_file()


def environment(**variables: str) -> dict[str, str]:
    return model_server.environment(Settings.from_environment(variables), Path("/run/x"))


def test_environment_pins_the_configuration_file() -> None:
    assert environment()["MMS_CONFIG_FILE"] == "/run/x/config.properties"


@pytest.mark.parametrize(
    ("name", "spins"), [("", "1000"), ("GOMP_SPINCOUNT", None), ("OMP_WAIT_POLICY", None)]
)
def test_workers_bound_spinning(monkeypatch: pytest.MonkeyPatch, name: str, spins: str | None) -> None:
    for variable in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(variable, raising=False)
    if name:
        monkeypatch.setenv(name, "1")
    assert environment().get("GOMP_SPINCOUNT") == spins


@pytest.mark.parametrize("name", ["model_service_worker.py", "metrics/metric_collector.py"])
def test_server_starts_the_replaced_programs(name: str) -> None:
    program = Path(environment()["MODEL_SERVER_HOME"]) / "mms" / name
    assert program.is_relative_to(model_server.CONTAINER)
    assert program.is_file()


def test_metric_collector_reads_input_prints_nothing() -> None:
    program = Path(environment()["MODEL_SERVER_HOME"]) / "mms" / "metrics" / "metric_collector.py"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, program], stdin=pipe, stdout=pipe, stderr=pipe) as collector:
        with pytest.raises(subprocess.TimeoutExpired):
            collector.wait(1)
        assert collector.communicate(b"12,34\n") == (b"", b"")
    assert collector.returncode == 0


def test_environment_sets_the_threads() -> None:
    assert environment(OMP_NUM_THREADS="3")["OMP_NUM_THREADS"] == "3"


def test_batches_need_the_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_server, "CLASSES", tmp_path)
    assert not model_server.can_batch()
    name = tmp_path / "com/amazonaws/ml/mms/util/codec/ModelResponseDecoder.class"
    name.parent.mkdir(parents=True)
    name.touch()
    assert model_server.can_batch()


def test_source_of_the_decoder_exists() -> None:
    assert (
        model_server.CONTAINER / "mms/java/com/amazonaws/ml/mms/util/codec/ModelResponseDecoder.java"
    ).is_file()


OK = Response(200, b'{"status": "Healthy!"}')


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[list[Request]]:
    """Requests to the management API."""
    with answering(tmp_path / "management.sock", lambda _request: OK) as requests:
        yield requests


def query(request: Request) -> dict[str, str]:
    return {name: value for name, (value,) in parse_qs(urlsplit(request.path).query).items()}


def test_register_sends_batches_and_workers(tmp_path: Path, asked: list[Request]) -> None:
    settings = Settings.from_environment({"SERVE_BATCH_SIZE": "8", "SAGEMAKER_MODEL_SERVER_WORKERS": "3"})
    assert ModelServer(tmp_path).register("a", settings, 3, wait=True) == Answer(200, OK.body)
    assert (asked[0].method, urlsplit(asked[0].path).path) == ("POST", "/models")
    assert query(asked[0]) == {
        "model_name": "a",
        "url": f"{tmp_path}/models/a"[1:],
        "handler": "inference:handle",
        "batch_size": "8",
        "max_batch_delay": "1",
        "initial_workers": "3",
        "synchronous": "true",
    }


def test_register_quotes_the_name(tmp_path: Path, asked: list[Request]) -> None:
    ModelServer(tmp_path).register("a&b=c", Settings.from_environment({}), 2, wait=True)
    assert query(asked[0])["model_name"] == "a&b=c"


def test_register_without_waiting_is_asynchronous(tmp_path: Path, asked: list[Request]) -> None:
    ModelServer(tmp_path).register("a", Settings.from_environment({}), 2, wait=False)
    assert query(asked[0])["synchronous"] == "false"


def test_scale_sets_the_number_of_workers(tmp_path: Path, asked: list[Request]) -> None:
    assert ModelServer(tmp_path).scale("a", 2).status == 200
    assert (asked[0].method, asked[0].path) == ("PUT", "/models/a?min_worker=2&max_worker=2")


def test_unregister_quotes_the_name(tmp_path: Path, asked: list[Request]) -> None:
    assert ModelServer(tmp_path).unregister("a b").status == 200
    assert (asked[0].method, asked[0].path) == ("DELETE", "/models/a%20b")


def test_missing_server_raises_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ModelServer(tmp_path).unregister("a")


def test_hang_up_raises_os_error(tmp_path: Path) -> None:
    with (
        answering(tmp_path / "management.sock", lambda _request: None),
        pytest.raises(OSError, match="incomplete answer: RemoteDisconnected"),
    ):
        ModelServer(tmp_path).unregister("a")


def test_incomplete_answer_raises_os_error(tmp_path: Path) -> None:
    cut_off = Response(200, b"{", {"Content-Length": "9", "Connection": "close"})
    with (
        answering(tmp_path / "management.sock", lambda _request: cut_off),
        pytest.raises(OSError, match="incomplete answer: IncompleteRead"),
    ):
        ModelServer(tmp_path).unregister("a")


SIDES = pytest.mark.parametrize(
    ("socket_name", "question"),
    [("mms.sock", ModelServer.inference_is_up), ("management.sock", ModelServer.management_is_up)],
)


@SIDES
@pytest.mark.parametrize(("status", "answers"), [(200, True), (500, False), (503, False)])
def test_api_is_up_on_200(
    tmp_path: Path, socket_name: str, question: Callable[[ModelServer], bool], status: int, answers: bool
) -> None:
    with answering(tmp_path / socket_name, lambda _request: Response(status)):
        assert question(ModelServer(tmp_path)) == answers


@SIDES
def test_api_without_socket_is_down(
    tmp_path: Path, socket_name: str, question: Callable[[ModelServer], bool]
) -> None:
    assert not (tmp_path / socket_name).exists()
    assert not question(ModelServer(tmp_path))


@SIDES
def test_api_that_hangs_up_is_down(
    tmp_path: Path, socket_name: str, question: Callable[[ModelServer], bool]
) -> None:
    with answering(tmp_path / socket_name, lambda _request: None):
        assert not question(ModelServer(tmp_path))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"code": 500, "type": "T", "message": "Worker died."}', "Worker died."),
        (b"no JSON", "no JSON"),
        (b'["message"]', '["message"]'),
        (b"\xff", "�"),
        (b"", ""),
    ],
)
def test_message_is_the_bodys_reason(body: bytes, message: str) -> None:
    assert Answer(500, body).message == message
