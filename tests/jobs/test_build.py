"""Building in CodeBuild, which moto simulates."""

import io
import json
import shlex
import time
import zipfile
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.codebuild.models import codebuild_backends

from jobs import build
from tests.jobs.conftest import ACCOUNT, BUCKET, REGION, Call, Run, shown
from tests.jobs.test_policies import action, actions

BUILD = ["build", "sagemaker-sentiment-lstm", "v1"]
URI = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/sagemaker-sentiment-lstm:v1\n"


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "POLL_SECONDS", 0)


def end_with(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    """Let the next status call find the build ended, with a line in its log."""
    backend: Any = codebuild_backends[ACCOUNT][REGION]
    original = type(backend).batch_get_builds

    def batch_get_builds(self: Any, ids: list[str]) -> list[dict[str, Any]]:
        builds: list[dict[str, Any]] = original(self, ids)
        client, stream = boto3.client("logs", REGION), ids[0].partition(":")[2]
        group = "/aws/codebuild/sentiment-image"
        if not client.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
            client.create_log_group(logGroupName=group)
            client.create_log_stream(logGroupName=group, logStreamName=stream)
            events = [{"timestamp": int(time.time() * 1000), "message": "a line of the build"}]
            client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
        return [entry | {"buildStatus": status} for entry in builds]

    monkeypatch.setattr(type(backend), "batch_get_builds", batch_get_builds)


def test_build_prints_uri_and_log(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    end_with(monkeypatch, "SUCCEEDED")
    result = run(*BUILD)
    assert result.stdout == URI
    assert "building in the CodeBuild project sentiment-image" in result.stderr
    assert "a line of the build\n" in result.stderr


def test_failed_build_is_an_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    end_with(monkeypatch, "FAILED")
    assert "FAILED; its log is above" in run(*BUILD, code=1).stderr


def test_second_build_keeps_project(run: Run, monkeypatch: pytest.MonkeyPatch, calls: list[Call]) -> None:
    end_with(monkeypatch, "SUCCEEDED")
    run(*BUILD)
    calls.clear()
    run(*BUILD)
    assert not {"CreateRole", "CreateProject"} & {operation for _, operation in calls}


def test_build_runs_the_script(run: Run) -> None:
    request = shown(run(*BUILD, "--cpu", "--dry-run"), "StartBuild")
    (command,) = json.loads(request["buildspecOverride"])["phases"]["build"]["commands"]
    assert shlex.split(command) == [
        "bash", "build_and_push.sh", "--region", REGION, "--model", "code/sentiment", "--cpu",
        "sagemaker-sentiment-lstm", "v1",
    ]  # fmt: skip


def test_dry_run_creates_nothing(run: Run, calls: list[Call]) -> None:
    result = run(*BUILD, "--dry-run")
    assert shown(result, "CreateProject")["environment"]["privilegedMode"] is True
    assert not [call for call in calls if call.operation.startswith(("Create", "Put", "Start"))]


def test_source_holds_the_build_context(run: Run, monkeypatch: pytest.MonkeyPatch, calls: list[Call]) -> None:
    end_with(monkeypatch, "SUCCEEDED")
    run(*BUILD)
    client = boto3.client("s3", REGION)
    body = client.get_object(Bucket=BUCKET, Key="sentiment/source/image.zip")["Body"].read()
    names = zipfile.ZipFile(io.BytesIO(body)).namelist()
    assert {"Dockerfile", "build_and_push.sh", "code/sentiment/__init__.py"} <= set(names)
    assert not [name for name in names if name.startswith((".git/", ".venv/", ".cache/"))]


def test_source_holds_a_foreign_model(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").touch()
    assert ".codebuild/mine/__init__.py" in build.source_files(tmp_path / "mine")


def test_role_may_only_push_and_log(run: Run) -> None:
    request = shown(run(*BUILD, "--dry-run"), "PutRolePolicy")
    policy = json.loads(request["PolicyDocument"])
    resources = {statement["Sid"]: statement["Resource"] for statement in policy["Statement"]}
    assert resources["Push"] == f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/sagemaker-sentiment-lstm"
    assert resources["ReadSource"] == f"arn:aws:s3:::{BUCKET}/sentiment/source/image.zip"
    trust = json.loads(shown(run(*BUILD, "--dry-run"), "CreateRole")["AssumeRolePolicyDocument"])
    assert trust["Statement"][0]["Principal"] == {"Service": "codebuild.amazonaws.com"}


def test_delete_removes_project_and_role(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    end_with(monkeypatch, "SUCCEEDED")
    run(*BUILD)
    run("delete", "--codebuild", "--yes")
    assert boto3.client("codebuild", REGION).list_projects()["projects"] == []
    roles = boto3.client("iam", REGION).list_roles()["Roles"]
    assert "sentiment-image" not in [role["RoleName"] for role in roles]


def test_delete_needs_name_or_codebuild(run: Run) -> None:
    assert "name an endpoint, or use --codebuild" in run("delete", code=2).stderr


def test_policy_covers_the_build(run: Run, monkeypatch: pytest.MonkeyPatch, calls: list[Call]) -> None:
    end_with(monkeypatch, "SUCCEEDED")
    run(*BUILD)
    run("delete", "--codebuild", "--yes")
    called = {action(call) for call in calls} - {"sts:GetCallerIdentity"}
    assert called <= actions("user-codebuild")
