"""The entry point as a program and a module; tests/image runs it as process 1."""

import importlib.machinery
import importlib.util
import json
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest

CONTAINER = Path(__file__).resolve().parents[2] / "container"
ENTRYPOINT = CONTAINER / "entrypoint"
ENVIRONMENT = {"SAGEMAKER_TRAINING_MODULE": "train:main", "PATH": "/bin"}


def load() -> Any:
    """The program as a module, although its name has no suffix."""
    sys.path.insert(0, str(CONTAINER))
    loader = importlib.machinery.SourceFileLoader("entrypoint", str(ENTRYPOINT))
    spec = importlib.util.spec_from_loader("entrypoint", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    sys.modules["entrypoint"] = module
    loader.exec_module(module)
    return module


entrypoint = load()


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder in the layout of /opt/ml, with no hyperparameters and one host."""
    config = tmp_path / "input" / "config"
    config.mkdir(parents=True)
    (config / "hyperparameters.json").write_text("{}")
    (config / "inputdataconfig.json").write_text("{}")
    (config / "resourceconfig.json").write_text('{"current_host": "algo-1", "hosts": ["algo-1"]}')
    return tmp_path


def dispatch_train(base: Path, **environment: str) -> Any:
    return entrypoint.dispatch(["train"], {**ENVIRONMENT, **environment, "SAGEMAKER_BASE_DIR": str(base)})


def name_own_script(base: Path) -> None:
    (base / "input" / "config" / "hyperparameters.json").write_text('{"sagemaker_program": "mine.py"}')


def test_serve_runs_the_serve_program() -> None:
    assert entrypoint.dispatch(["serve"], {}).arguments == [str(CONTAINER / "serve")]


@pytest.mark.parametrize("arguments", [["serve"], ["bash"]])
def test_image_folders_come_first_on_search_paths(arguments: list[str]) -> None:
    program = entrypoint.dispatch(arguments, {"PATH": "/usr/bin", "PYTHONPATH": "/opt/ml/code"})
    assert program.environment["PATH"] == "/opt/venv/bin:/usr/bin"
    root = CONTAINER.parent
    assert program.environment["PYTHONPATH"] == f"{root}/code:{root}/model:/opt/ml/code"


@pytest.mark.parametrize("path", ["/opt/venv/bin:/usr/bin", "/usr/bin:/opt/venv/bin"])
def test_image_search_paths_are_listed_once(path: str) -> None:
    assert entrypoint.dispatch(["serve"], {"PATH": path}).environment["PATH"] == "/opt/venv/bin:/usr/bin"


def test_missing_path_has_the_image_folder() -> None:
    assert entrypoint.dispatch(["serve"], {}).environment["PATH"].startswith("/opt/venv/bin:/")


@pytest.mark.parametrize("arguments", [["serve"], ["train"]])
def test_low_limit_on_processes_is_named(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    monkeypatch.setattr(entrypoint.cgroup, "free_processes", lambda: 49)
    monkeypatch.setattr(entrypoint.cgroup, "cpus", lambda: 2)
    with pytest.raises(entrypoint.SetupError) as caught:
        entrypoint.dispatch(arguments, {})
    assert str(caught.value) == (
        "the container may start 49 more processes and threads and needs 68; raise its limit: "
        "docker run --pids-limit"
    )


def test_torchrun_variables_do_not_reach_training(base: Path) -> None:
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT", "TORCHELASTIC_RUN_ID")
    environment = dispatch_train(base, **dict.fromkeys(names, "1"), MODEL_NAME="1").environment
    assert not {*names} & {*environment}
    assert environment["MODEL_NAME"] == "1"


def test_user_script_keeps_torchrun_variables(base: Path) -> None:
    assert dispatch_train(base, SAGEMAKER_PROGRAM="mine.py", RANK="1").environment["RANK"] == "1"


def test_missing_temporary_folder_is_named(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp', '/var/tmp']")

    monkeypatch.setattr(entrypoint.tempfile, "gettempdir", fail)
    with pytest.raises(entrypoint.SetupError, match=r"No usable temporary.*docker run --tmpfs /tmp"):
        dispatch_train(base)


def test_unknown_command_is_run_unchanged() -> None:
    assert entrypoint.dispatch(["bash", "-c", "true"], {}).arguments == ["bash", "-c", "true"]


def test_train_keeps_the_training_module(base: Path) -> None:
    assert dispatch_train(base).environment["SAGEMAKER_TRAINING_MODULE"] == "train:main"


def test_train_keeps_its_arguments(base: Path) -> None:
    environment = {"SAGEMAKER_BASE_DIR": str(base)}
    program = entrypoint.dispatch(["train", "--epochs", "2"], environment)
    assert program.arguments == ["train", "--epochs", "2"]


def test_user_script_removes_the_training_module(base: Path) -> None:
    name_own_script(base)
    assert "SAGEMAKER_TRAINING_MODULE" not in dispatch_train(base).environment


def test_environment_can_name_the_user_script(base: Path) -> None:
    assert "SAGEMAKER_TRAINING_MODULE" not in dispatch_train(base, SAGEMAKER_PROGRAM="mine.py").environment


def test_user_script_is_recognized(base: Path) -> None:
    assert not dispatch_train(base).is_user_script
    name_own_script(base)
    assert dispatch_train(base).is_user_script


def test_single_host_skips_name_resolution(base: Path) -> None:
    name_own_script(base)
    assert dispatch_train(base).environment["SM_STUDIO_LOCAL_MODE"] == "true"


def test_two_hosts_keep_name_resolution(base: Path) -> None:
    name_own_script(base)
    hosts = json.dumps({"current_host": "algo-1", "hosts": ["algo-1", "algo-2"]})
    (base / "input" / "config" / "resourceconfig.json").write_text(hosts)
    assert "SM_STUDIO_LOCAL_MODE" not in dispatch_train(base).environment


def test_train_creates_result_folders(base: Path) -> None:
    dispatch_train(base)
    assert (base / "output").is_dir()
    assert (base / "model").is_dir()


def test_train_removes_results_of_earlier_run(base: Path) -> None:
    (base / "output").mkdir()
    for name in ("success", "failure"):
        (base / "output" / name).touch()
    dispatch_train(base)
    assert list((base / "output").iterdir()) == []


def test_built_in_training_alone_unblocks_sigterm(base: Path) -> None:
    assert dispatch_train(base).unblocks_sigterm
    assert not entrypoint.dispatch(["bash"], ENVIRONMENT).unblocks_sigterm
    assert not dispatch_train(base, SAGEMAKER_TRAINING_MODULE="mine:main").unblocks_sigterm
    name_own_script(base)
    assert not dispatch_train(base).unblocks_sigterm


@pytest.mark.parametrize(
    ("code", "success", "expected", "reason"),
    [
        (0, True, 0, None),
        (0, False, 1, "train ended with exit code 0 without a reason"),
        (1, False, 1, "train ended with exit code 1 without a reason"),
        (-9, False, -9, "train was killed (SIGKILL), most likely because memory ran out"),
        (-11, False, -11, "train was killed by SIGSEGV"),
        (-15, False, -15, None),
    ],
)
def test_exit_code_is_normalized(
    tmp_path: Path, code: int, success: bool, expected: int, reason: str | None
) -> None:
    if success:
        (tmp_path / "success").touch()
    assert entrypoint.normalize_exit_code(tmp_path, code) == expected
    failure = tmp_path / "failure"
    assert failure.read_text().splitlines()[0].startswith(reason) if reason else not failure.exists()


def test_existing_failure_file_is_kept(tmp_path: Path) -> None:
    (tmp_path / "failure").write_text("the disk is full")
    assert entrypoint.normalize_exit_code(tmp_path, 1) == 1
    assert (tmp_path / "failure").read_text() == "the disk is full"


def test_missing_output_folder_is_no_success(tmp_path: Path) -> None:
    assert entrypoint.normalize_exit_code(tmp_path / "not there", 0) == 1


@pytest.mark.parametrize("name", ["hyperparameters", "inputdataconfig", "resourceconfig"])
def test_train_names_the_missing_file(base: Path, name: str) -> None:
    (base / "input" / "config" / f"{name}.json").unlink()
    with pytest.raises(entrypoint.SetupError, match=f"{name}.json is missing; mount a folder"):
        dispatch_train(base)


@pytest.mark.parametrize("name", ["hyperparameters", "inputdataconfig", "resourceconfig"])
@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("[]", "expected a JSON object, got list"),
        ("{", "not JSON"),
        ("\xff", "not JSON"),
    ],
)
def test_train_names_the_faulty_file(base: Path, name: str, content: str, fault: str) -> None:
    (base / "input" / "config" / f"{name}.json").write_text(content, "latin-1")
    with pytest.raises(entrypoint.SetupError, match=f"{name}.json: {fault}"):
        dispatch_train(base)


@pytest.mark.parametrize("earlier", ["", "of an earlier run"])
def test_refused_training_has_a_failure_file(base: Path, earlier: str) -> None:
    (base / "output").mkdir(exist_ok=True)
    (base / "output" / "failure").write_text(earlier)
    (base / "input" / "config" / "resourceconfig.json").write_text("{")
    done = subprocess.run(
        [sys.executable, str(ENTRYPOINT), "train"],
        env=ENVIRONMENT | {"SAGEMAKER_BASE_DIR": str(base)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    failure = (base / "output" / "failure").read_text()
    assert failure.startswith(f"{base}/input/config/resourceconfig.json: not JSON")
    assert done.stderr == f"error: {failure}\n"


def test_help_needs_no_mount(tmp_path: Path) -> None:
    program = entrypoint.dispatch(["train", "--help"], {"SAGEMAKER_BASE_DIR": str(tmp_path / "nowhere")})
    assert program.arguments == ["python", str(CONTAINER.parent / "code" / "train.py"), "--help"]


@pytest.mark.parametrize("name", ["output", "model"])
def test_unwritable_folder_is_named(base: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("os.access", lambda path, _mode: path.name != name)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(entrypoint.SetupError, match=f"{base}/{name}: not writable by user 1000; run the"):
        dispatch_train(base)


def test_unwritable_base_is_named(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, **_options: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(entrypoint.SetupError, match=f"{base}/output: Permission denied; run the container"):
        dispatch_train(base)


def test_reason_is_printed_without_access_to_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise PermissionError(13, "Permission denied")

    for name in ("read_text", "write_text", "stat"):
        monkeypatch.setattr(Path, name, refuse)
    entrypoint.write_failure(tmp_path, "no access")
    assert capsys.readouterr().err == "error: no access\n"


def test_failure_of_the_toolkit_is_one_line(tmp_path: Path) -> None:
    try:
        json.loads("{")
    except ValueError as error:
        trace = f"Framework Error: \n{traceback.format_exc()}\n{error}"
    (tmp_path / "failure").write_text(trace)
    assert entrypoint.normalize_exit_code(tmp_path, 1) == 1
    assert (tmp_path / "failure").read_text() == (
        "the training toolkit failed: json.decoder.JSONDecodeError: "
        "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
    )


def start(*command: str) -> subprocess.Popen[str]:
    program = [sys.executable, str(ENTRYPOINT), *command]
    # The entry point would give a terminal to the command.
    return subprocess.Popen(program, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)


def test_no_command_prints_the_usage() -> None:
    done = subprocess.run([sys.executable, str(ENTRYPOINT)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: nothing to run")
    assert "docker run IMAGE train" in done.stderr


def test_exit_code_is_returned() -> None:
    with start("sh", "-c", "exit 7") as process:
        assert process.wait() == 7


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_is_forwarded(number: signal.Signals) -> None:
    program = (
        "import signal, sys, time\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(3))\n"
        "print('ready', flush=True)\n"
        "time.sleep(30)"
    )
    with start(sys.executable, "-c", program) as process:
        assert process.stdout
        process.stdout.readline()
        process.send_signal(number)
        assert process.wait(10) == 3


def test_early_sigterm_reaches_built_in_training(base: Path) -> None:
    program = base / "train"
    program.write_text(
        f"#!{sys.executable}\n"
        "import signal, sys, time\n"
        "print('starting', flush=True)\n"
        "time.sleep(1)\n"
        "success = sys.argv[1] + '/output/success'\n"
        "signal.signal(signal.SIGTERM, lambda *_: (open(success, 'w'), sys.exit(0)))\n"
        "signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})\n"
    )
    program.chmod(0o755)
    environment = ENVIRONMENT | {"SAGEMAKER_BASE_DIR": str(base), "PATH": f"{base}:/bin"}
    with subprocess.Popen(
        [sys.executable, str(ENTRYPOINT), "train", str(base)],
        env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout
        assert process.stdout.readline() == "starting\n"
        process.terminate()
        assert process.wait(10) == 0


def test_sigpipe_is_not_ignored_by_program() -> None:
    with start("sh", "-c", "grep SigIgn /proc/$$/status") as process:
        assert process.stdout
        ignored = int(process.stdout.read().split()[1], 16)
    assert not ignored & 1 << (signal.SIGPIPE - 1)
