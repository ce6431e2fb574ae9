"""Looking up the image in ECR."""

import re

import click
import pytest

from jobs import ROOT, image
from jobs.account import Account
from tests.jobs.conftest import ACCOUNT

HOST = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com"


def test_default_image_matches_build_and_push() -> None:
    script = (ROOT / "build_and_push.sh").read_text()
    defaults = re.findall(r"(?:local default|tag)=(?:\$\{names\[\d\]:-)?([\w-]+)", script)
    assert defaults == [image.DEFAULT, "latest"]


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("name", [None, "sagemaker-sentiment-lstm", "sagemaker-sentiment-lstm:latest"])
def test_image_name_becomes_ecr_uri(name: str | None) -> None:
    assert image.find(Account("sentiment", "us-east-1"), name) == f"{HOST}/sagemaker-sentiment-lstm:latest"


def test_image_uri_is_kept() -> None:
    assert image.find(Account("sentiment", "us-east-1"), f"{HOST}/other:v1") == f"{HOST}/other:v1"


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("name", ["nothing:v1", "sagemaker-sentiment-lstm:v1"])
def test_missing_image_names_push_command(name: str) -> None:
    command = f"build_and_push.sh --region us-east-1 {name.replace(':', ' ')}$"
    with pytest.raises(click.ClickException, match=command):
        image.find(Account("sentiment", "us-east-1"), name)


@pytest.mark.usefixtures("aws")
def test_default_image_follows_package_name() -> None:
    with pytest.raises(
        click.ClickException, match="--model FOLDER --region us-east-1 sagemaker-tfidf latest"
    ):
        image.find(Account("tfidf", "us-east-1"), None)
