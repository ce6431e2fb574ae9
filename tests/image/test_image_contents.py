"""The contents of the image."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import torch

from tests.image.containers import inspect, run

ROOT = Path(__file__).resolve().parents[2]
PINS = dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "container" / "requirements.txt").read_text(), re.M))


@pytest.mark.parametrize(
    "package", ["sagemaker-training", "sagemaker-inference", "multi-model-server", "nltk"]
)
def test_locked_package_version_is_installed(image: str, package: str) -> None:
    code = f"from importlib.metadata import version; print(version('{package}'))"
    assert run(image, "python", "-c", code).strip() == PINS[package]


def test_torch_version_matches_local_runs(image: str) -> None:
    environment = (ROOT / "local_test" / "environment.sh").read_text()
    version = re.search(r"^TORCH_VERSION=(\S+)", environment, re.M)
    assert version
    found = run(image, "python", "-c", "import torch; print(torch.__version__)")
    assert found.split("+")[0].strip() == version[1]


def test_default_torch_build_supports_v100() -> None:
    """By torch's own table: the V100 of ml.p3 has compute capability 7.0."""
    index = re.search(r"^ARG TORCH_INDEX_URL=\S+/cu(\d\d)(\d)$", (ROOT / "Dockerfile").read_text(), re.M)
    assert index
    assert 70 in torch.cuda.PYTORCH_RELEASES_CODE_CC[f"{index[1]}.{index[2]}"]["x86_64"]


def test_packages_are_compatible(image: str) -> None:
    assert "No broken requirements" in run(image, "python", "-m", "pip", "check")


@pytest.mark.parametrize("program", ["gcc", "cc", "make", "javac", "jlink", "curl"])
def test_build_program_is_absent(image: str, program: str) -> None:
    assert run(image, "bash", "-c", f"command -v {program} || echo none").strip() == "none"


@pytest.mark.parametrize("package", ["sagemaker", "pytest", "moto", "hypothesis"])
def test_test_package_is_absent(image: str, package: str) -> None:
    code = f"from importlib.util import find_spec; print(find_spec('{package}'))"
    assert run(image, "python", "-c", code).strip() == "None"


@pytest.mark.parametrize("folder", ["/root/.cache", "/var/lib/apt/lists", "/var/cache/apt", "/opt/ml"])
def test_cache_folder_is_empty(image: str, folder: str) -> None:
    assert run(image, "bash", "-c", f"find {folder} -mindepth 1 2>/dev/null || true") == ""


def test_pickle_files_are_absent(image: str) -> None:
    names = " -o ".join(f"-name '*.{ending}'" for ending in ("pkl", "pickle", "pt", "joblib"))
    assert run(image, "bash", "-c", f"find / -xdev -type f \\( {names} \\)") == ""


def test_tests_are_absent(image: str) -> None:
    found = run(image, "bash", "-c", "find /opt -type d \\( -name tests -o -name test \\)")
    assert found == ""


def test_packages_have_bytecode(image: str) -> None:
    """Without bytecode every start compiles for seconds."""
    code = (
        "import glob, importlib.util as u, os, sysconfig as s\n"
        "files = glob.glob(s.get_path('purelib') + '/torch/**/*.py', recursive=True)\n"
        "print(len(files), sum(not os.path.exists(u.cache_from_source(f)) for f in files))"
    )
    files, without = map(int, run(image, "python", "-c", code).split())
    assert files > 1000
    assert without < 5  # torch has files in the syntax of newer Pythons


def test_program_is_readable_for_everyone(image: str) -> None:
    assert run(image, "bash", "-c", "find /opt ! -type l \\( ! -perm -o=r -o -type d ! -perm -o=x \\)") == ""


def test_size_is_at_most_1400_mb(image: str) -> None:
    """The CPU variant; the base's layers are the first of the image's."""
    history = subprocess.run(
        ["docker", "history", "--human=false", "--format", "{{json .}}", image],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    layers = [json.loads(line) for line in history.splitlines()]
    # From the newest back to the first step of the Dockerfile's last stage.
    first = next(i for i, layer in enumerate(layers) if "apt-get update" in layer["CreatedBy"])
    added = sum(int(layer["Size"]) for layer in layers[: first + 1])
    assert 500e6 < added <= 1.4e9


def test_entry_point_is_in_exec_form(image: str) -> None:
    """In exec form: with a shell in between no signal would arrive."""
    assert json.loads(inspect(image, "{{json .Config.Entrypoint}}")) == ["/opt/program/container/entrypoint"]


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("com.amazonaws.sagemaker.capabilities.accept-bind-to-port", "true"),
        ("org.opencontainers.image.licenses", "Apache-2.0"),
        ("org.opencontainers.image.version", r"\d+\.\d+\.\d+"),
        ("org.opencontainers.image.revision", "[0-9a-f]{40}(-dirty)?"),
        ("org.opencontainers.image.source", "(https://.*)?"),
    ],
)
def test_label_is_set(image: str, label: str, value: str) -> None:
    labels = json.loads(inspect(image, "{{json .Config.Labels}}"))
    assert re.fullmatch(value, labels[label])
