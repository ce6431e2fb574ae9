"""The program ``serve`` without its servers; tests/end_to_end runs them."""

import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any, Self

import pytest

from serving import cgroup, model_server
from serving.settings import Settings
from serving.supervisor import ServingError
from tests.support.toy import ARTIFACT

ROOT = Path(__file__).resolve().parents[2]
SERVE = ROOT / "container" / "serve"


def environment(base: Path, **more: str) -> dict[str, str]:
    """Variables without Java, so that no server is started."""
    variables = {
        "PYTHONPATH": f"{ROOT / 'code'}:{ROOT}",
        "MODEL_PACKAGE": "tests.support.toy",
        "SAGEMAKER_BASE_DIR": str(base),
        "JAVA_HOME": str(base),
    }
    return variables | {"PATH": "/usr/bin:/bin"} | more


def run(base: Path, **more: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit code and log; stderr is empty."""
    result = subprocess.run(
        [sys.executable, SERVE],
        env=environment(base, **more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.stderr == ""
    return result.returncode, [json.loads(line) for line in result.stdout.splitlines()]


def refusal(base: Path, **more: str) -> str:
    """The last line of a program that refuses to serve."""
    code, lines = run(base, **more)
    assert (code, lines[-1]["level"]) == (1, "error")
    message: str = lines[-1]["message"]
    return message


def test_missing_model_is_an_error(tmp_path: Path) -> None:
    assert refusal(tmp_path) == (
        f"{tmp_path}/model/artifact.json is missing: there is no trained model in {tmp_path}/model"
    )


@pytest.mark.parametrize("name", ["artifact.json", "toy.json"])
def test_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    file = tmp_path / "model" / name
    shutil.copytree(ARTIFACT, file.parent)
    file.write_bytes(file.read_bytes()[:-9])
    assert str(file) in refusal(tmp_path)


@pytest.mark.parametrize(
    ("environment", "file", "ignored"),
    [
        ({"SAGEMAKER_PROGRAM": "mine.py"}, "", "SAGEMAKER_PROGRAM=mine.py"),
        (
            {"SAGEMAKER_PROGRAM": "", "SAGEMAKER_SUBMIT_DIRECTORY": "s3://a/b"},
            "code/inference.py",
            "SAGEMAKER_SUBMIT_DIRECTORY=s3://a/b, {base}/model/code/inference.py",
        ),
        ({"SAGEMAKER_PROGRAM": ""}, "code/train.py", ""),
    ],
)
def test_ignored_user_code_is_one_warning(
    tmp_path: Path, environment: dict[str, str], file: str, ignored: str
) -> None:
    shutil.copytree(ARTIFACT, tmp_path / "model")
    (tmp_path / "model" / "code").mkdir()
    if file:
        (tmp_path / "model" / file).touch()
    _, lines = run(tmp_path, **environment)
    expected = f"ignored: {ignored.format(base=tmp_path)}; docs/your-own-model.md: how to serve a model"
    warnings = [
        line["message"] for line in lines if line["level"] == "warning" and "ignored" in line["message"]
    ]
    assert warnings == ([expected] if ignored else [])


@pytest.mark.usefixtures("nginx_program")
def test_missing_java_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "model").symlink_to(ARTIFACT)
    assert refusal(tmp_path) == "no Java found; put it on the PATH or set JAVA_HOME"


def test_invalid_setting_is_an_error(tmp_path: Path) -> None:
    assert refusal(tmp_path, SERVE_BATCH_SIZE="many") == (
        "SERVE_BATCH_SIZE=many: expected a whole number from 1 to 1024"
    )


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_needs_no_model(tmp_path: Path, option: str) -> None:
    result = subprocess.run(
        [sys.executable, SERVE, option],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "docs/serving.md" in result.stdout
    assert result.stderr == ""


def test_unproducible_default_accept_is_an_error(tmp_path: Path) -> None:
    assert refusal(tmp_path, SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT="image/png").startswith(
        "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT=image/png: expected one of application/json"
    )


@pytest.mark.parametrize("folder", ["toy", "output/model"])
def test_model_in_a_deeper_folder_is_an_error(tmp_path: Path, folder: str) -> None:
    shutil.copytree(ARTIFACT, tmp_path / "model" / folder)
    reason = refusal(tmp_path)
    assert reason.startswith(f"the model is in {tmp_path}/model/{folder}, expected in")
    assert reason.endswith(f"tar -C {folder} -czf model.tar.gz .")


def test_multi_model_starts_without_a_model(tmp_path: Path) -> None:
    """The first fault is another one."""
    reason = refusal(tmp_path, SAGEMAKER_MULTI_MODEL="true")
    assert "artifact.json" not in reason


def test_first_line_has_the_settings(tmp_path: Path) -> None:
    _, lines = run(tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS="3", SERVE_BATCH_SIZE="1")
    assert (lines[0]["level"], lines[0]["message"]) == ("info", "serving with these settings")
    assert (lines[0]["workers"], lines[0]["batch_size"]) == (3, 1)


def test_log_level_comes_from_environment(tmp_path: Path) -> None:
    _, lines = run(tmp_path, SERVE_LOG_LEVEL="error")
    assert [line["level"] for line in lines] == ["error"]


def test_stop_during_imports_is_no_fault(tmp_path: Path) -> None:
    slow = tmp_path / "byoc"
    slow.mkdir()
    (slow / "__init__.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    with subprocess.Popen(
        [sys.executable, SERVE],
        env=environment(tmp_path, PYTHONPATH=str(tmp_path)),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.terminate()
        assert process.wait(10) == 0


class Serve:
    """The program as a module, with a fake supervisor."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loader = SourceFileLoader("serve", str(SERVE))
        spec = spec_from_loader("serve", loader)
        assert spec is not None
        self._program = module_from_spec(spec)
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        loader.exec_module(self._program)
        self.handlers: dict[int, Any] = {}
        self.limits: dict[int, tuple[int, int]] = {}
        self.masks: list[int] = []
        self.fault: ServingError | None = None
        monkeypatch.setattr(signal, "signal", self.handlers.__setitem__)
        monkeypatch.setattr(resource, "setrlimit", self.limits.__setitem__)
        monkeypatch.setattr(os, "umask", self.masks.append)
        monkeypatch.setattr(self._program, "Supervisor", self._supervise)

    def _supervise(self, settings: Settings, _log: object, folder: Path, artifact: Path) -> Self:
        self.settings, self.folder, self.artifact = settings, folder, artifact
        self.mode = folder.stat().st_mode & 0o777
        return self

    def run(self, stop: threading.Event) -> None:
        """Run as the supervisor."""
        self.stop = stop
        if self.fault:
            raise self.fault

    def main(self) -> int:
        """Run the program; returns its exit code."""
        code: int = self._program.main()
        return code


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Serve:
    (tmp_path / "model").symlink_to(ARTIFACT)
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    return Serve(monkeypatch)


def first_line(capfd: pytest.CaptureFixture[str]) -> str:
    message: str = json.loads(capfd.readouterr().out.splitlines()[0])["message"]
    return message


def test_stop_exits_with_0(serve: Serve, tmp_path: Path) -> None:
    assert serve.main() == 0
    assert serve.artifact == tmp_path / "model"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_the_server(serve: Serve, number: int) -> None:
    serve.main()
    assert not serve.stop.is_set()
    serve.handlers[number](number, None)
    assert serve.stop.is_set()


def test_folder_is_short_and_open(serve: Serve) -> None:
    serve.main()
    assert len(str(serve.folder / "management.sock")) < 107
    assert serve.mode == 0o711


def test_new_files_are_private(serve: Serve) -> None:
    serve.main()
    assert serve.masks == [0o077]


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ENOSPC, errno.EROFS])
def test_unusable_tmp_is_an_error(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], number: int
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("tempfile.mkdtemp", fail)
    assert serve.main() == 1
    last = json.loads(capfd.readouterr().out.splitlines()[-1])["message"]
    assert f"{os.strerror(number)}; the server must be able to write there: docker run --tmpfs /tmp" in last


def test_reduced_workers_are_a_warning(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAGEMAKER_MODEL_SERVER_WORKERS", "9")
    monkeypatch.setattr(cgroup, "memory", lambda: 2**30)
    serve.main()
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert (
        "warning",
        "4 of 9 workers (SAGEMAKER_MODEL_SERVER_WORKERS) are started: no more fit into the memory",
    ) in [(line["level"], line["message"]) for line in lines]


def test_folder_is_removed(serve: Serve) -> None:
    serve.main()
    assert not serve.folder.exists()


def test_folder_that_cannot_be_removed_prints_nothing(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Root without the capability DAC_OVERRIDE cannot open a folder of nginx' user."""

    def fail(path: object, *_arguments: object, **_options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "rmdir", fail)
    assert serve.main() == 0
    assert capfd.readouterr().err == ""
    monkeypatch.undo()
    shutil.rmtree(serve.folder)


def test_core_files_are_off(serve: Serve) -> None:
    serve.main()
    assert serve.limits[resource.RLIMIT_CORE] == (0, 0)


@pytest.mark.parametrize(
    ("before", "after"), [((1_024, 10**6), (8_192, 10**6)), ((1_024, 4_096), (4_096, 4_096))]
)
def test_file_limit_allows_all_connections(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, before: tuple[int, int], after: tuple[int, int]
) -> None:
    monkeypatch.setattr(resource, "getrlimit", {resource.RLIMIT_NOFILE: before}.__getitem__)
    serve.main()
    assert serve.limits[resource.RLIMIT_NOFILE] == after


def test_fault_is_the_last_line(serve: Serve, capfd: pytest.CaptureFixture[str]) -> None:
    serve.fault = ServingError("the model server ended by itself")
    assert serve.main() == 1
    last = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert (last["level"], last["message"]) == ("error", "the model server ended by itself")


def test_folder_is_removed_after_a_fault(serve: Serve) -> None:
    serve.fault = ServingError("the model server ended by itself")
    serve.main()
    assert not serve.folder.exists()


def test_requests_without_decoder_are_not_batched(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(model_server, "can_batch", lambda: False)
    serve.main()
    assert serve.settings.batch_size == 1
    assert first_line(capfd) == "requests are not batched: container/mms/classes has no corrected decoder"


def test_requests_with_decoder_are_batched(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_server, "can_batch", lambda: True)
    serve.main()
    assert serve.settings.batch_size == 16
