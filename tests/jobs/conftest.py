"""A simulated AWS account, and the command line running against it."""

import csv
import functools
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple

import boto3
import botocore.session
import pytest
from botocore.stub import Stubber
from click.testing import CliRunner, Result
from moto import mock_aws

import jobs.__main__
from byoc.artifact import MANIFEST
from jobs import account, image

REGION = "us-east-1"
ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/sagemaker"
BUCKET = f"sagemaker-{REGION}-{ACCOUNT}"
IMAGE_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
REVIEWS = [(f"film{i} good", "1") if i % 2 else (f"film{i} bad", "0") for i in range(8)]

Run = Callable[..., Result]

# Share the loaded service models between sessions: loading SageMaker's takes half a second.
botocore.session.create_loader = functools.cache(botocore.session.create_loader)


class Call(NamedTuple):
    """One AWS call."""

    service: str
    operation: str


class Session(boto3.Session):
    """A session that records calls, and has quotas, which moto lacks."""

    calls: ClassVar[list[Call]] = []
    quotas: ClassVar[dict[str, float]] = {}

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.events.register("before-call", self._record)
        self.events.register("before-call.service-quotas.ListServiceQuotas", self._list_quotas)  # type: ignore[arg-type]

    def _record(self, model: Any, **_: Any) -> None:
        self.calls.append(Call(model.service_model.service_name, model.name))

    def _list_quotas(self, model: Any, **_: Any) -> tuple[Any, dict[str, Any]]:
        self._record(model)
        quotas = [{"QuotaName": name, "Value": value} for name, value in self.quotas.items()]
        return SimpleNamespace(status_code=200), {"Quotas": quotas}


@pytest.fixture
def calls(aws: None) -> list[Call]:
    """The AWS calls of the command line, from botocore's events."""
    return Session.calls


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account with the image and a role."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": REGION,
        "AWS_CONFIG_FILE": "/nowhere",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        name = image.DEFAULT
        ecr = boto3.client("ecr", REGION)
        ecr.create_repository(repositoryName=name)
        manifest = {"schemaVersion": 2, "mediaType": IMAGE_MANIFEST, "config": {"size": 1}, "layers": []}
        ecr.put_image(repositoryName=name, imageManifest=json.dumps(manifest), imageTag="latest")
        boto3.client("iam", REGION).create_role(
            RoleName="sagemaker", AssumeRolePolicyDocument=json.dumps(TRUST)
        )
        Session.calls.clear()
        monkeypatch.setattr(Session, "quotas", {})
        monkeypatch.setattr(account.boto3, "Session", Session)  # type: ignore[attr-defined]
        save_artifact("mine", "model.tar.gz")
        yield


def archive_of(*names: str) -> bytes:
    """A ``model.tar.gz``, by default with the files of a model."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name in names or ("weights.safetensors", MANIFEST):
            archive.addfile(tarfile.TarInfo(f"./{name}"))
    return stream.getvalue()


def save_artifact(bucket: str, key: str, *names: str) -> None:
    """Put an archive into S3."""
    client = boto3.client("s3", REGION)
    client.create_bucket(Bucket=bucket)
    client.put_object(Bucket=bucket, Key=key, Body=archive_of(*names))


@pytest.fixture
def run(aws: None) -> Run:
    """Run a command in this process: ``run("train", "epochs=3")``."""

    def invoke(*arguments: str | Path, code: int = 0, answers: str | None = None) -> Result:
        result = CliRunner().invoke(jobs.__main__.main, list(map(str, arguments)), input=answers)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return invoke


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """A folder with a few reviews."""
    folder = tmp_path / "reviews"
    folder.mkdir()
    with (folder / "reviews.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("text", "label"), *REVIEWS])
    return folder


@pytest.fixture
def to_predict_folder(tmp_path: Path) -> Path:
    """A folder with texts to predict."""
    folder = tmp_path / "to-predict"
    folder.mkdir()
    (folder / "part.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text, _ in REVIEWS))
    return folder


@pytest.fixture
def uploaded(run: Run, reviews: Path) -> None:
    """Training data in the bucket."""
    run("upload", reviews)


@pytest.fixture
def trained(run: Run, uploaded: None) -> str:
    """Name of a completed training job."""
    run("train", "--name", "sentiment-1")
    save_artifact(BUCKET, "sentiment/models/sentiment-1/output/model.tar.gz")
    return "sentiment-1"


def shown(result: Result, operation: str) -> dict[str, Any]:
    """The parameters of the request with this operation, from the output of a dry run."""
    requests = json.loads(result.stdout)
    (parameters,) = [request["parameters"] for request in requests if request["operation"] == operation]
    return dict(parameters)


@pytest.fixture
def sagemaker(monkeypatch: pytest.MonkeyPatch, aws: None) -> Iterator[Stubber]:
    """A stub of SageMaker for calls that moto lacks: responses are queued, requests validated."""
    client = boto3.client("sagemaker", REGION)
    find_client = account.Account.client

    def find(self: account.Account, service: str) -> Any:
        return client if service == "sagemaker" else find_client(self, service)

    monkeypatch.setattr(account.Account, "client", find)
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def training_job(status: str, **more: Any) -> dict[str, Any]:
    """SageMaker's description of a training job."""
    return {
        "TrainingJobName": "sentiment-1",
        "TrainingJobArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/sentiment-1",
        "ModelArtifacts": {"S3ModelArtifacts": "s3://mine/model.tar.gz"},
        "TrainingJobStatus": status,
        "SecondaryStatus": status,
        "AlgorithmSpecification": {"TrainingInputMode": "File", "TrainingImage": "image"},
        "StoppingCondition": {},
        "CreationTime": datetime(2026, 11, 1, tzinfo=UTC),
        "RoleArn": ROLE,
        **more,
    }


def tuning_job(status: str, **more: Any) -> dict[str, Any]:
    """SageMaker's description of a tuning job."""
    config = {"Strategy": "Bayesian", "ResourceLimits": {"MaxParallelTrainingJobs": 1}}
    return {
        "HyperParameterTuningJobName": "sentiment-1",
        "HyperParameterTuningJobArn": "a",
        "HyperParameterTuningJobConfig": config,
        "HyperParameterTuningJobStatus": status,
        "CreationTime": 0,
        "TrainingJobStatusCounters": {},
        "ObjectiveStatusCounters": {},
        **more,
    }


def best_job(**settings: str) -> dict[str, Any]:
    """The best training job, in the description of a tuning job."""
    best = {"TrainingJobName": "sentiment-t-003", "TrainingJobArn": "a", "TrainingJobStatus": "Completed"}
    return {"BestTrainingJob": {**best, "CreationTime": 0, "TunedHyperParameters": settings}}


def transform_job(status: str) -> dict[str, Any]:
    """SageMaker's description of a transform job."""
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://mine/to-predict"}
    return {
        "TransformJobName": "sentiment-1",
        "TransformJobArn": "a",
        "TransformJobStatus": status,
        "ModelName": "sentiment-1",
        "CreationTime": 0,
        "TransformInput": {"DataSource": {"S3DataSource": source}},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }


def endpoint(status: str) -> dict[str, Any]:
    """SageMaker's description of an endpoint."""
    return {
        "EndpointName": "sentiment-1",
        "EndpointArn": "e" * 20,
        "EndpointConfigName": "sentiment-1",
        "EndpointStatus": status,
        "CreationTime": 0,
        "LastModifiedTime": 0,
    }


def describe(sagemaker: Stubber, **descriptions: dict[str, Any]) -> None:
    """Queue the responses to one search for a name in all resource types; missing types are not found."""
    for shape in ("training_job", "hyper_parameter_tuning_job", "transform_job", "endpoint"):
        if shape in descriptions:
            sagemaker.add_response(f"describe_{shape}", descriptions[shape])
        else:
            sagemaker.add_client_error(f"describe_{shape}", "ValidationException")


@pytest.fixture
def all_calls(run: Run, calls: list[Call], reviews: Path, to_predict_folder: Path) -> list[Call]:
    """The AWS calls of all commands, in the usual order of use."""
    run("upload", reviews)
    run("train", "epochs=3", "--name", "sentiment-1", "--register", "sentiment")
    save_artifact(BUCKET, "sentiment/models/sentiment-1/output/model.tar.gz")
    log = boto3.client("logs", REGION)
    log.create_log_group(logGroupName="/aws/sagemaker/TrainingJobs")
    log.create_log_stream(logGroupName="/aws/sagemaker/TrainingJobs", logStreamName="sentiment-1/algo-1-1")
    first_calls = list(calls)
    calls.clear()
    run("status", "sentiment-1")
    run("logs", "sentiment-1")
    run("tune", "epochs=3", "--name", "sentiment-t")
    scaling = ["--mode", "asynchronous", "--min-instances", "0", "--max-instances", "2"]
    run("deploy", "sentiment-1", "--name", "sentiment-e", "--yes", *scaling)
    run("status")
    run("upload", to_predict_folder, "--channel", "to-predict")
    run("transform", "sentiment-1", "--name", "sentiment-p")
    run("delete", "sentiment-e", "--yes")
    return first_calls + calls
