"""The boundary between the container and a model."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import byoc
from byoc.model import ModelPackage
from byoc.package import import_package
from tests.support.programs import environment

CODE = Path(byoc.__file__).parent
# Modules that ``python -m jobs`` and the supervisor import.
LIGHT = ("artifact", "errors", "files", "hyperparameters", "model", "opt_ml", "package", "serving.request")


def test_container_mentions_no_model() -> None:
    words = re.compile(r"(?i)review|\bwords?\b|\btokens?\b|lstm|movie|film|sentiment|vocabular|embedding")
    mentions = [(path.name, word) for path in CODE.rglob("*.py") for word in words.findall(path.read_text())]
    assert mentions == [("package.py", "sentiment")]  # the default package


def test_every_member_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_PACKAGE", "tests.support.toy")
    methods = {name for name, value in vars(ModelPackage).items() if callable(value) and name[0] != "_"}
    assert vars(import_package()).keys() == methods | ModelPackage.__annotations__.keys()


@pytest.mark.parametrize("name", LIGHT)
def test_import_works_without_torch(tmp_path: Path, name: str) -> None:
    program = f"import sys; sys.modules['torch'] = None; import byoc.{name}"
    subprocess.run([sys.executable, "-c", program], env=environment(tmp_path), check=True)
