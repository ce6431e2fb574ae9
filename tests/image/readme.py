"""The code blocks of the README's section on SageMaker and of docs/sagemaker.md."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def blocks() -> list[tuple[str, str]]:
    """Every block, in order, as (language, code)."""
    section = (ROOT / "README.md").read_text("utf-8").partition("## On SageMaker")[2].partition("\n## ")[0]
    part = section + (ROOT / "docs" / "sagemaker.md").read_text("utf-8")
    return re.findall(r"^```(\w+)\n(.*?)^```$", part, re.M | re.S)


def block(language: str, holding: str) -> str:
    """The single block of a language that contains a text."""
    (found,) = [code for name, code in blocks() if name == language and holding in code]
    return found


def replace(code: str, **changes: str) -> str:
    """The code with expressions replaced; each must occur.

    A keyword cannot hold quotes or dots, so names stand for the expressions in ``EXPRESSIONS``.
    """
    for name, replacement in changes.items():
        expression = EXPRESSIONS[name]
        assert expression in code, f"{expression} is not in the block any more"
        code = code.replace(expression, replacement)
    return code


EXPRESSIONS = {
    "reviews": 'f"s3://{bucket}/sentiment/training/"',
    "models": 'f"s3://{bucket}/sentiment/models/"',
    "to-predict": 'f"s3://{bucket}/sentiment/to-predict/"',
    "predictions": 'f"s3://{bucket}/sentiment/predictions/"',
    "gpu": '"ml.p3.2xlarge"',
    "cpu": '"ml.m5.large"',
    "epochs": '"epochs": 2',
    "role": "role=role,",
}
