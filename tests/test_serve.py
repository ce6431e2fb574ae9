"""The serving program's configuration and refusals; tests/whole_path runs the server."""

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sagemaker_inference.environment import Environment

ROOT = Path(__file__).resolve().parents[1]
SERVE = ROOT / "container" / "serve"


@pytest.fixture(scope="module")
def serve() -> dict[str, Any]:
    return runpy.run_path(str(SERVE))


def properties(serve: dict[str, Any], folder: Path) -> dict[str, str]:
    lines = serve["properties"](Environment(), folder).splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_port_is_8080(serve: dict[str, Any], tmp_path: Path) -> None:
    assert properties(serve, tmp_path)["inference_address"] == "http://0.0.0.0:8080"


def test_port_can_be_bound_to_another(
    serve: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGEMAKER_BIND_TO_PORT", "9999")
    assert properties(serve, tmp_path)["inference_address"] == "http://0.0.0.0:9999"


def test_management_is_on_no_port(serve: dict[str, Any], tmp_path: Path) -> None:
    assert properties(serve, tmp_path)["management_address"] == f"unix:{tmp_path}/management.sock"


def test_configuration_takes_nothing_from_the_environment(serve: dict[str, Any], tmp_path: Path) -> None:
    assert "enable_envvars_config" not in properties(serve, tmp_path)


def test_model_of_the_server_is_an_empty_folder(serve: dict[str, Any], tmp_path: Path) -> None:
    assert properties(serve, tmp_path)["load_models"] == f"model={tmp_path}/empty"


def test_workers_time_limit_and_size_come_from_sagemakers_variables(
    serve: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGEMAKER_MODEL_SERVER_WORKERS", "3")
    monkeypatch.setenv("SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS", "600")
    monkeypatch.setenv("SAGEMAKER_MAX_PAYLOAD_IN_MB", "50")
    found = properties(serve, tmp_path)
    assert found["default_workers_per_model"] == "3"
    assert found["default_response_timeout_seconds"] == "600"
    assert found["max_request_size"] == found["max_response_size"] == str(50 * 2**20)


def test_class_path_holds_the_server_and_nothing_else(serve: dict[str, Any], tmp_path: Path) -> None:
    command = serve["java_command"](tmp_path)
    assert command[command.index("-cp") + 1].endswith("mms/frontend/*")


def test_java_home_is_used(serve: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert serve["java_command"](tmp_path)[0] == str(java)


def run(base: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {"PYTHONPATH": str(ROOT / "code"), "SAGEMAKER_BASE_DIR": str(base), "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [sys.executable, SERVE],
        env=variables | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_missing_model_is_refused_at_once(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert result.returncode == 1
    assert result.stderr == (
        f"error: {tmp_path}/model/model.json is missing: there is no trained model in {tmp_path}/model\n"
    )


@pytest.mark.parametrize("name", ["model.safetensors", "vocabulary.json"])
def test_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for path in (ROOT / "tests" / "artifact_format_1").iterdir():
        (model / path.name).write_bytes(path.read_bytes())
    (model / name).write_bytes((model / name).read_bytes()[:-1])
    result = run(tmp_path)
    assert result.returncode == 1
    assert f"{model / name} is damaged" in result.stderr
    assert "Traceback" not in result.stderr


def test_machine_without_java_is_told(tmp_path: Path) -> None:
    (tmp_path / "model").symlink_to(ROOT / "tests" / "artifact_format_1")
    result = run(tmp_path, JAVA_HOME=str(tmp_path))
    assert result.returncode == 1
    assert result.stderr == "error: no Java found; put it on the PATH or set JAVA_HOME\n"
