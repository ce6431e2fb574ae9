"""Checking data and uploading it to S3."""

import gzip
import os
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.jobs.conftest import BUCKET, REGION, Call, Run, shown

TRAINING = f"s3://{BUCKET}/sentiment/training/"


def keys() -> list[str]:
    objects = boto3.client("s3", REGION).list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return [entry["Key"] for entry in objects]


def test_upload_keys_start_with_channel(run: Run, reviews: Path) -> None:
    (reviews / "more").mkdir()
    (reviews / "more" / "more.csv.gz").write_bytes(gzip.compress(b"text,label\ngood,1\n"))
    result = run("upload", reviews, "--channel", "validation")
    assert result.stdout == f"s3://{BUCKET}/sentiment/validation/\n"
    assert "9 reviews, 5 of them positive" in result.stderr
    assert keys() == ["sentiment/validation/more/more.csv.gz", "sentiment/validation/reviews.csv"]


def test_upload_keeps_content(run: Run, reviews: Path) -> None:
    run("upload", reviews)
    body = boto3.client("s3", REGION).get_object(Bucket=BUCKET, Key="sentiment/training/reviews.csv")["Body"]
    assert body.read() == (reviews / "reviews.csv").read_bytes()


def test_upload_to_named_bucket(run: Run, reviews: Path) -> None:
    boto3.client("s3", REGION).create_bucket(Bucket="mine")
    assert run("upload", reviews, "--bucket", "mine").stdout == "s3://mine/sentiment/training/\n"


def test_bucket_is_created_in_region(run: Run, reviews: Path) -> None:
    run("upload", reviews, "--region", "eu-west-1", "--bucket", "new")
    location = boto3.client("s3", REGION).get_bucket_location(Bucket="new")["LocationConstraint"]
    assert location == "eu-west-1"


def test_upload_skips_hidden_and_unsup(run: Run, reviews: Path) -> None:
    (reviews / ".DS_Store").write_text("")
    (reviews / "unsup").mkdir()
    (reviews / "unsup" / "1_0.txt").write_text("")
    run("upload", reviews)
    assert keys() == ["sentiment/training/reviews.csv"]


def test_unlabeled_channel_gets_only_unsup(run: Run, tmp_path: Path) -> None:
    for name in ("pos/0_9", "neg/0_1", "unsup/0_0", "unsup/1_0"):
        (tmp_path / "aclImdb" / "train" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "aclImdb" / "train" / f"{name}.txt").write_text("fine")
    result = run("upload", tmp_path / "aclImdb", "--channel", "unlabeled")
    assert "2 reviews without labels" in result.stderr
    assert keys() == [f"sentiment/unlabeled/train/unsup/{i}_0.txt" for i in range(2)]


def test_upload_sends_only_changed_files(run: Run, reviews: Path) -> None:
    (reviews / "more.csv").write_text("text,label\ngood,1\n")
    os.utime(reviews / "more.csv", (1, 1))
    os.utime(reviews / "reviews.csv", (1, 1))
    assert "files sent: 2" in run("upload", reviews).stderr
    assert "files sent: 0" in run("upload", reviews).stderr
    (reviews / "more.csv").write_text("text,label\nfine,1\n")  # same size
    os.utime(reviews / "more.csv", (2**32, 2**32))
    assert "files sent: 1" in run("upload", reviews).stderr


def test_surplus_files_print_warning(run: Run, reviews: Path) -> None:
    run("upload", reviews)
    (reviews / "reviews.csv").rename(reviews / "new.csv")
    assert (
        f"warning: {TRAINING} has 1 more files that jobs will read, for example reviews.csv"
        in run("upload", reviews).stderr
    )


@pytest.mark.parametrize(
    ("name", "content", "channel", "message"),
    [
        ("bad.csv", "text,label\nfine,7\n", "training", "bad.csv, line 2: unknown label '7'"),
        ("bad.xlsx", "1", "training", "bad.xlsx has an unknown format"),
        ("bad.jsonl", '{"text": "a"}\n{"txt": "b"}\n', "to-predict", "bad.jsonl: line 2: expected a string"),
        ("bad.jsonl", '"a"\n\n"b"\n', "to-predict", "bad.jsonl: line 2, column 1: not JSON"),
        ("bad.csv", "fine\n", "to-predict", "bad.csv is not .jsonl"),
        (".hidden", "", "to-predict", "no texts in"),
        (".hidden", "", "training", "no labeled reviews in"),
    ],
)
def test_invalid_data_is_refused(
    run: Run, tmp_path: Path, name: str, content: str, channel: str, message: str
) -> None:
    (tmp_path / name).write_text(content)
    assert message in run("upload", tmp_path, "--channel", channel, code=1).stderr


def test_long_file_to_predict_is_accepted(run: Run, tmp_path: Path) -> None:
    (tmp_path / "long.jsonl").write_text('{"text": "a"}\n' * 10_001)
    result = run("upload", tmp_path, "--channel", "to-predict", "--dry-run")
    assert "10001 texts to predict" in result.stderr


def test_invalid_file_stops_whole_upload(run: Run, calls: list[Call], reviews: Path) -> None:
    (reviews / "worse.csv").write_text("text,label\nfine,7\n")
    run("upload", reviews, code=1)
    assert calls == []


def test_upload_dry_run_prints_keys(run: Run, reviews: Path, calls: list[Call]) -> None:
    result = run("upload", reviews, "--dry-run")
    assert shown(result, "PutObject") == {"Bucket": BUCKET, "Key": "sentiment/training/reviews.csv"}
    assert calls == [Call("sts", "GetCallerIdentity")]


def test_upload_expects_bucket_owner(run: Run, reviews: Path) -> None:
    """Moto ignores the owner, so the sent parameters are checked."""
    sent: list[dict[str, Any]] = []

    def record(params: dict[str, Any], **_: Any) -> None:
        sent.append(params)

    session = boto3.Session
    with pytest.MonkeyPatch.context() as patch:

        class Recorded(session):  # type: ignore[misc, valid-type]
            def __init__(self, **options: Any) -> None:
                super().__init__(**options)
                self.events.register("provide-client-params.s3", record)

        patch.setattr("jobs.account.boto3.Session", Recorded)
        run("upload", reviews)
    assert all(params["ExpectedBucketOwner"] == "123456789012" for params in sent if "Body" in params)
    assert [params for params in sent if "Body" in params]


def test_upload_takes_one_file(run: Run, reviews: Path) -> None:
    (reviews / "broken.csv").write_text("no columns\n")
    assert "8 reviews" in run("upload", reviews / "reviews.csv").stderr
    assert keys() == ["sentiment/training/reviews.csv"]


def test_upload_reads_with_hyperparameters(run: Run, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("body,mark\nfine,5\ndull,1\n")
    columns = ["text_column=body", "label_column=mark"]
    assert "label_map=" in run("upload", tmp_path, *columns, code=1).stderr
    result = run("upload", tmp_path, *columns, 'label_map={"5": 1, "1": 0}')
    assert "2 reviews, 1 of them positive" in result.stderr


@pytest.mark.parametrize("name", ["r.zip", "r.parquet"])
def test_upload_checks_archives_and_parquet(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"damaged")
    assert f"{name}: " in run("upload", tmp_path, code=1).stderr
