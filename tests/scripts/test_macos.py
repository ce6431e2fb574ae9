"""The scripts on a Mac: bash 3.2, and tools that lack GNU's options, as busybox's do."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import skip_or_fail

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ["build_and_push.sh", "benchmarks/run.sh", "tests/run.sh"]
SCRIPTS += [f"local_test/{name}.sh" for name in ("train_local", "serve_local", "predict")]
SCRIPTS += [f"scripts/{name}" for name in ("bench", "check-gpu.sh", "lint", "setup", "test", "test-image")]
# No readlink, sha256sum or stat, whose options on a Mac are others.
TOOLS = ["cat", "cksum", "dirname", "env", "grep", "id", "ln", "mkdir", "rm", "rmdir", "sed", "tail", "tr"]

# Records its calls, and fetches the reviews as the image's Python does.
DOCKER = """#!/bin/bash
echo "docker $*" >>"$CALLS"
[[ ! $* =~ volume\\ ([^ ]*):/target ]] || echo text,label >"${BASH_REMATCH[1]}/reviews.csv"
"""


@pytest.mark.parametrize("script", SCRIPTS)
def test_old_bash_is_one_line(script: str) -> None:
    # dash supports POSIX only.
    done = subprocess.run(["dash", ROOT / script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: bash 4.4 or later is needed: brew install bash\n"


@pytest.mark.parametrize("version", ["3.2.57(1)-release", "4.3.48(1)-release"])
def test_version_of_bash_is_checked(version: str) -> None:
    script = (ROOT / SCRIPTS[0]).read_text().splitlines()[2].replace("${BASH_VERSION:-0}", f"'{version}'")
    assert (
        "brew install bash"
        in subprocess.run(["dash", "-c", script], capture_output=True, text=True, check=False).stderr
    )


class Mac:
    """A clone without .venv, and a PATH with busybox's tools and fake ``uname`` and ``docker``."""

    def __init__(self, folder: Path) -> None:
        self.clone = folder / "clone"
        shutil.copytree(ROOT / "local_test", self.clone / "local_test", ignore=lambda *_: ["data", "model"])
        self._bin = folder / "bin"
        self._bin.mkdir()
        busybox = shutil.which("busybox")
        if busybox is None:
            skip_or_fail("not tested: the scripts with busybox, which is missing")
        for tool in TOOLS:
            (self._bin / tool).symlink_to(busybox)
        for tool in ("bash", "python3"):
            (self._bin / tool).symlink_to(shutil.which(tool) or "")
        self._calls = folder / "calls"
        for name, program in (("docker", DOCKER), ("uname", "#!/bin/bash\necho Darwin arm64\n")):
            (self._bin / name).write_text(program)
            (self._bin / name).chmod(0o755)

    def run(self, script: str, *arguments: str | Path) -> list[str]:
        """Run a script of local_test; returns the calls of docker."""
        self._calls.write_text("")
        command = [self.clone / "local_test" / script, *arguments]
        variables = {"PATH": str(self._bin), "CALLS": str(self._calls)}
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "not found" not in done.stderr
        assert not (self.clone / ".venv").exists()
        return self._calls.read_text().splitlines()


@pytest.fixture
def mac(tmp_path: Path) -> Mac:
    """A machine of the test alone."""
    return Mac(tmp_path)


def test_image_fetches_the_reviews(mac: Mac) -> None:
    calls = mac.run("train_local.sh", "my-image", "--epochs", "2")
    (fetch,) = [call for call in calls if "fetch_reviews" in call]
    assert f"--user {os.getuid()}:{os.getgid()}" in fetch
    assert fetch.endswith("my-image python /local_test/fetch_reviews.py /cache /target/reviews.csv")
    assert [call for call in calls if call.endswith("my-image train --epochs 2")]
    assert not [call for call in mac.run("train_local.sh", "my-image") if "fetch_reviews" in call]


def test_image_trains_on_a_linked_folder(mac: Mac, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    calls = mac.run("train_local.sh", "my-image", "--data", tmp_path / "link")
    (call,) = [call for call in calls if call.endswith("my-image train")]
    assert f"--volume {tmp_path}/link:/opt/ml/input/data/training:ro" in call


def test_image_serves(mac: Mac) -> None:
    assert mac.run("serve_local.sh", "my-image")[-1].endswith("my-image serve")
