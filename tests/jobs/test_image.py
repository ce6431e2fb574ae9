"""Looking up the image in ECR."""

import re

import click
import pytest
from botocore.exceptions import ClientError

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
    pinned = image.find(Account("sentiment", "us-east-1"), name)
    assert re.fullmatch(rf"{HOST}/sagemaker-sentiment-lstm@sha256:[0-9a-f]{{64}}", pinned)


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("tag", ["", ":latest"])
def test_image_uri_gets_digest(tag: str) -> None:
    account = Account("sentiment", "us-east-1")
    expected = image.find(account, "sagemaker-sentiment-lstm")
    assert image.find(account, f"{HOST}/sagemaker-sentiment-lstm{tag}") == expected


def test_digest_is_kept() -> None:
    uri = f"{HOST}/other@sha256:{'0' * 64}"
    assert image.find(Account("sentiment", "us-east-1"), uri) == uri


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("uri", [f"{HOST}/other:v1", f"{HOST}/sagemaker-sentiment-lstm:v1"])
def test_missing_uri_is_an_error(uri: str) -> None:
    with pytest.raises(click.ClickException, match=f"no image {uri} in us-east-1; push it first"):
        image.find(Account("sentiment", "us-east-1"), uri)


@pytest.mark.usefixtures("aws")
def test_uri_that_ecr_refuses_is_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The repository of another account may let SageMaker pull, and refuse the description."""

    def refuse(*_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "DescribeImages")

    monkeypatch.setattr(image, "send", refuse)
    assert image.find(Account("sentiment", "us-east-1"), f"{HOST}/other:v1") == f"{HOST}/other:v1"
    assert f"warning: a later push to {HOST}/other:v1 changes the model" in capsys.readouterr().err


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("name", ["a", "Sentiment", "-a", "a" * 257, "sentiment/", "my image"])
def test_name_that_ecr_refuses_is_an_error(name: str) -> None:
    with pytest.raises(click.ClickException, match="invalid request DescribeRepositories"):
        image.find(Account("sentiment", "us-east-1"), name)


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
