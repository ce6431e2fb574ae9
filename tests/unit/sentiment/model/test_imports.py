"""Libraries that checking and serving a model do without: each would cost memory and time of every start."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs import environment

FITTING = {"scipy", "sklearn", "pandas", "matplotlib"}


@pytest.mark.parametrize(
    ("module", "needless"),
    [("artifact", {*FITTING, "torch", "nltk", "bs4"}), ("predictor", FITTING)],
)
def test_module_does_without_library(tmp_path: Path, module: str, needless: set[str]) -> None:
    program = f"import sys, sentiment.model.{module}; print(*({needless!r} & sys.modules.keys()))"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_tokenizer_hides_no_library_from_others(tmp_path: Path) -> None:
    program = "import sentiment.text.tokenizer, scipy.sparse, sklearn.linear_model"
    subprocess.run([sys.executable, "-c", program], env=environment(tmp_path), check=True)
