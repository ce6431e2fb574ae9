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


def test_server_listens_on_unix_sockets_alone() -> None:
    found = properties()
    assert found["inference_address"] == "unix:/run/x/mms.sock"
    assert found["management_address"] == "unix:/run/x/management.sock"


def test_model_is_registered_later() -> None:
    assert "load_models" not in properties()


def test_configuration_takes_nothing_from_the_environment() -> None:
    assert "enable_envvars_config" not in properties()


def test_configuration_names_no_variable() -> None:
    # The server would put $$NAME$$'s value there.
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
def test_configuration_is_made_from_the_settings(variable: str, text: str, name: str, value: str) -> None:
    assert properties({variable: text})[name] == value


def test_answer_may_be_larger_than_a_request() -> None:
    assert properties()["max_response_size"] == str(2**31 - 1)


def test_bodies_come_to_the_handler_as_they_are() -> None:
    assert properties()["decode_input_request"] == "false"


def test_server_never_gives_up_before_the_supervisor_does() -> None:
    found = properties({"SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": "100", "SERVE_BATCH_SIZE": "8"})
    assert int(found["default_response_timeout_seconds"]) >= 100 * 8 + model_server.LOAD_SECONDS


def test_java_home_is_used(java: Path) -> None:
    assert command()[0] == str(java)


def test_java_on_the_path_is_used(java: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(java.parent))
    assert command()[0] == str(java)


@pytest.mark.usefixtures("java")
def test_no_java_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME")
    with pytest.raises(FileNotFoundError, match="no Java found; put it on the PATH or set JAVA_HOME"):
        command()


@pytest.mark.usefixtures("java")
def test_no_server_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_server, "find_spec", lambda _name: None)
    with pytest.raises(FileNotFoundError, match="the package multi-model-server is not installed"):
        command()


@pytest.mark.usefixtures("java")
def test_class_path_is_our_class_and_the_server() -> None:
    arguments = command()
    ours, theirs = arguments[arguments.index("-cp") + 1].split(":")
    assert ours == str(model_server.CLASSES)
    assert theirs.endswith("/mms/frontend/*")


@pytest.mark.usefixtures("java")
def test_working_directory_is_not_on_the_class_path() -> None:
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
def test_further_arguments_of_java_come_last_so_that_they_count() -> None:
    arguments = command(SAGEMAKER_MODEL_SERVER_VMARGS="-Xmx9m -Dx=y")
    given = arguments.index("-Xmx9m")
    assert arguments[given + 1] == "-Dx=y"
    assert max(i for i, argument in enumerate(arguments) if argument.startswith("-X")) == given
    assert given < arguments.index("-cp")


@pytest.mark.usefixtures("java")
def test_workers_run_in_this_python() -> None:
    arguments = command()
    assert arguments[arguments.index("--python") + 1] == sys.executable


@pytest.mark.usefixtures("java")
def test_log_is_ours() -> None:
    assert f"-Dlog4j.configurationFile={model_server.CONTAINER / 'mms' / 'log4j2.xml'}" in command()
    assert (model_server.CONTAINER / "mms" / "log4j2.xml").is_file()


def environment(**variables: str) -> dict[str, str]:
    return model_server.environment(Settings.from_environment(variables), Path("/run/x"))


def test_configuration_cannot_be_replaced_by_a_variable() -> None:
    assert environment()["MMS_CONFIG_FILE"] == "/run/x/config.properties"


@pytest.mark.parametrize("name", ["model_service_worker.py", "metrics/metric_collector.py"])
def test_programs_that_the_server_starts_are_ours(name: str) -> None:
    program = Path(environment()["MODEL_SERVER_HOME"]) / "mms" / name
    assert program.is_relative_to(model_server.CONTAINER)
    assert program.is_file()


def test_program_for_metrics_waits_for_the_ids_of_the_workers_and_says_nothing() -> None:
    program = Path(environment()["MODEL_SERVER_HOME"]) / "mms" / "metrics" / "metric_collector.py"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, program], stdin=pipe, stdout=pipe, stderr=pipe) as collector:
        with pytest.raises(subprocess.TimeoutExpired):
            collector.wait(1)
        assert collector.communicate(b"12,34\n") == (b"", b"")
    assert collector.returncode == 0


def test_workers_are_told_their_threads() -> None:
    assert environment(OMP_NUM_THREADS="3")["OMP_NUM_THREADS"] == "3"


def test_batches_need_the_corrected_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_server, "CLASSES", tmp_path)
    assert not model_server.can_batch()
    name = tmp_path / "com/amazonaws/ml/mms/util/codec/ModelResponseDecoder.class"
    name.parent.mkdir(parents=True)
    name.touch()
    assert model_server.can_batch()


def test_corrected_class_has_its_source() -> None:
    assert (
        model_server.CONTAINER / "mms/java/com/amazonaws/ml/mms/util/codec/ModelResponseDecoder.java"
    ).is_file()


OK = Response(200, b'{"status": "Healthy!"}')


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[list[Request]]:
    """What the management API was asked."""
    with answering(tmp_path / "management.sock", lambda _request: OK) as requests:
        yield requests


def query(request: Request) -> dict[str, str]:
    return {name: value for name, (value,) in parse_qs(urlsplit(request.path).query).items()}


def test_model_is_registered_with_its_batches_and_workers(tmp_path: Path, asked: list[Request]) -> None:
    settings = Settings.from_environment({"SERVE_BATCH_SIZE": "8", "SAGEMAKER_MODEL_SERVER_WORKERS": "3"})
    assert ModelServer(tmp_path).register("a", settings, wait=True) == Answer(200, OK.body)
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


def test_name_is_quoted(tmp_path: Path, asked: list[Request]) -> None:
    ModelServer(tmp_path).register("a&b=c", Settings.from_environment({}), wait=True)
    assert query(asked[0])["model_name"] == "a&b=c"


def test_model_is_registered_without_waiting(tmp_path: Path, asked: list[Request]) -> None:
    ModelServer(tmp_path).register("a", Settings.from_environment({}), wait=False)
    assert query(asked[0])["synchronous"] == "false"


def test_model_is_unregistered(tmp_path: Path, asked: list[Request]) -> None:
    assert ModelServer(tmp_path).unregister("a b").status == 200
    assert (asked[0].method, asked[0].path) == ("DELETE", "/models/a%20b")


def test_server_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ModelServer(tmp_path).unregister("a")


def test_server_that_dies_while_it_is_asked_is_an_os_error(tmp_path: Path) -> None:
    with answering(tmp_path / "management.sock", lambda _request: None), pytest.raises(OSError):  # noqa: PT011
        ModelServer(tmp_path).unregister("a")


def test_server_that_dies_while_it_answers_is_an_os_error(tmp_path: Path) -> None:
    cut_off = Response(200, b"{", {"Content-Length": "9", "Connection": "close"})
    with answering(tmp_path / "management.sock", lambda _request: cut_off), pytest.raises(OSError):  # noqa: PT011
        ModelServer(tmp_path).unregister("a")


SIDES = pytest.mark.parametrize(
    ("socket_name", "question"),
    [("mms.sock", ModelServer.inference_is_up), ("management.sock", ModelServer.management_is_up)],
)


@SIDES
@pytest.mark.parametrize(("status", "answers"), [(200, True), (500, False), (503, False)])
def test_side_of_the_server_answers(
    tmp_path: Path, socket_name: str, question: Callable[[ModelServer], bool], status: int, answers: bool
) -> None:
    with answering(tmp_path / socket_name, lambda _request: Response(status)):
        assert question(ModelServer(tmp_path)) == answers


@SIDES
def test_side_of_the_server_is_not_there(
    tmp_path: Path, socket_name: str, question: Callable[[ModelServer], bool]
) -> None:
    assert not (tmp_path / socket_name).exists()
    assert not question(ModelServer(tmp_path))


@SIDES
def test_side_of_the_server_hangs_up(
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
def test_message_is_the_reason_of_an_error(body: bytes, message: str) -> None:
    assert Answer(500, body).message == message
