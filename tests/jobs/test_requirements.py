"""The packages of jobs/requirements.txt are enough for every check before a request."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jobs import ROOT

# Refuses every module of a distribution that jobs/requirements.txt does not list.
RUN_WITH_REQUIREMENTS_ONLY = """
import re, runpy, sys
from importlib.metadata import packages_distributions

text = open("jobs/requirements.txt").read()
listed = set(re.findall(r"^([a-z0-9-]+)==", text, re.M))
distributions = packages_distributions()

class Refuse:
    def find_spec(self, name, path=None, target=None):
        owners = {owner.lower().replace("_", "-") for owner in distributions.get(name, [])}
        if owners and not owners & listed:
            raise ModuleNotFoundError(f"{name} is not in jobs/requirements.txt")

sys.meta_path.insert(0, Refuse())
runpy.run_module("jobs", run_name="__main__", alter_sys=True)
"""


def requirements(folder: str) -> set[str]:
    return set(re.findall(r"^\S+==\S+", (ROOT / folder / "requirements.txt").read_text(), re.M))


def test_requirements_are_subset_of_image() -> None:
    """The environment of the local tests can run jobs/."""
    assert requirements("jobs")
    assert requirements("jobs") <= requirements("container")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "epochs=0"], "epochs: '0' is not"),
        (["upload", "FOLDER"], "8 reviews, 4 of them positive"),
        (["upload", "FOLDER", "--channel", "to-predict"], "reviews.csv is not .jsonl"),
    ],
)
def test_check_needs_only_requirements(reviews: Path, arguments: list[str], message: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {
        "AWS_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/nowhere",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    command = [sys.executable, "-c", RUN_WITH_REQUIREMENTS_ONLY, *arguments]
    command = [str(reviews) if argument == "FOLDER" else argument for argument in command]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert message in result.stderr
