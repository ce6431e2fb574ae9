"""Listing and describing jobs and endpoints."""

from botocore.stub import Stubber

from tests.jobs.conftest import BUCKET, Run, describe, training_job


def test_status_marks_billed_resources(run: Run, trained: str) -> None:
    run("deploy", trained, "--name", "sentiment-e", "--yes")
    lines = [line.split(maxsplit=2)[2] for line in run("status").stdout.splitlines()]
    assert [" ".join(line.split()) for line in lines] == [
        "training job sentiment-1 Completed",
        "endpoint sentiment-e InService incurs charges",
    ]


def test_status_lists_only_prefixed_names(run: Run, uploaded: None) -> None:
    run("train", "--name", "other-1")
    assert run("status").stdout == ""


def test_status_of_training_job(run: Run, trained: str) -> None:
    output = run("status", trained).stdout
    assert "training job sentiment-1\n" in output
    assert "instances:        1 x ml.p3.2xlarge or ml.g5.xlarge or " in output
    assert f"model:            s3://{BUCKET}/sentiment/models/sentiment-1/output/model.tar.gz\n" in output


def test_status_shows_times_and_failure(run: Run, sagemaker: Stubber) -> None:
    more = {"FailureReason": "no reviews", "TrainingTimeInSeconds": 100, "BillableTimeInSeconds": 30}
    describe(sagemaker, training_job=training_job("Failed", **more))
    output = run("status", "sentiment-1").stdout
    assert "failure:          no reviews\n" in output
    assert "training seconds: 100\n  billable seconds: 30\n" in output


def test_status_of_endpoint(run: Run, trained: str) -> None:
    run("deploy", trained, "--name", "sentiment-e", "--yes", "--instance-count", "2")
    assert "instances:        2\n" in run("status", "sentiment-e").stdout
    run("deploy", trained, "--name", "sentiment-s", "--yes", "--mode", "serverless")
    assert "instances:        serverless\n" in run("status", "sentiment-s").stdout
