"""Region and bucket."""

import click
import pytest

from jobs.account import Account
from tests.jobs.conftest import ACCOUNT


@pytest.mark.usefixtures("aws")
def test_bucket_defaults_to_sdk_bucket() -> None:
    assert Account("sentiment", "eu-west-1").bucket == f"sagemaker-eu-west-1-{ACCOUNT}"
    assert Account("sentiment", "eu-west-1", "mine").uri("training") == "s3://mine/sentiment/training/"


@pytest.mark.parametrize(
    ("option", "environment", "region"),
    [
        ("eu-west-1", {"AWS_REGION": "eu-west-2"}, "eu-west-1"),
        (None, {"AWS_REGION": "eu-west-2", "AWS_DEFAULT_REGION": "eu-west-3"}, "eu-west-2"),
        (None, {"AWS_DEFAULT_REGION": "eu-west-3"}, "eu-west-3"),
    ],
)
def test_region_precedence_matches_build_and_push(
    monkeypatch: pytest.MonkeyPatch, option: str | None, environment: dict[str, str], region: str
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Account("sentiment", option).region == region


def test_missing_region_names_remedies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(click.ClickException, match="no AWS region; use --region, set AWS_REGION"):
        _ = Account("sentiment").region
