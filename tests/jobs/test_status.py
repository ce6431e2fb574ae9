"""What status tells."""

from botocore.stub import Stubber

from tests.jobs.conftest import BUCKET, Run, describe, training_job


def test_list_tells_what_is_paid_for(run: Run, trained: str) -> None:
    run("deploy", trained, "--name", "sentiment-e", "--yes")
    lines = [line.split(maxsplit=2)[2] for line in run("status").stdout.splitlines()]
    assert [" ".join(line.split()) for line in lines] == [
        "training job sentiment-1 Completed",
        "endpoint sentiment-e InService paid for",
    ]


def test_only_what_is_called_after_the_project_is_listed(run: Run, uploaded: None) -> None:
    run("train", "--name", "other-1")
    assert run("status").stdout == ""


def test_training_job(run: Run, trained: str) -> None:
    told = run("status", trained).stdout
    assert "training job sentiment-1\n" in told
    assert "instances:        1 x ml.p3.2xlarge\n" in told
    assert f"model:            s3://{BUCKET}/sentiment/models/sentiment-1/output/model.tar.gz\n" in told


def test_times_and_failure(run: Run, sagemaker: Stubber) -> None:
    more = {"FailureReason": "no reviews", "TrainingTimeInSeconds": 100, "BillableTimeInSeconds": 30}
    describe(sagemaker, training_job=training_job("Failed", **more))
    told = run("status", "sentiment-1").stdout
    assert "failure:          no reviews\n" in told
    assert "training seconds: 100\n  seconds paid for: 30\n" in told


def test_endpoint(run: Run, trained: str) -> None:
    run("deploy", trained, "--name", "sentiment-e", "--yes", "--instance-count", "2")
    assert "instances:        2\n" in run("status", "sentiment-e").stdout
    run("deploy", trained, "--name", "sentiment-s", "--yes", "--mode", "serverless")
    assert "instances:        serverless\n" in run("status", "sentiment-s").stdout
