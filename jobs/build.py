"""``build``: build and push the image in AWS CodeBuild, for machines without Docker."""

import io
import json
import shlex
import subprocess
import time
import zipfile
from pathlib import Path
from typing import Any

import click
from botocore.exceptions import ClientError

from jobs import ROOT, image, logs, options, role, storage
from jobs.account import Account
from jobs.aws_request import Request, send, show

SERVICE = "codebuild.amazonaws.com"
POLL_SECONDS = 5
# IAM needs some seconds to make a new role known to CodeBuild.
ROLE_SECONDS = 60
# Folder of an outside package in the archive, where it cannot replace a folder of the project.
MODEL_PARENT = Path(".codebuild")


def project(account: Account) -> str:
    """The name of the project, and of its role."""
    return f"{account.prefix}-image"


def archived(model: Path) -> Path:
    """The folder of a model package in the archive."""
    return model.relative_to(ROOT) if model.is_relative_to(ROOT) else MODEL_PARENT / model.name


def source_files(model: Path) -> dict[str, Path]:
    """The files that Git does not ignore and the model package, by their names in the archive."""
    listing = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split("\0")
    files = {name: ROOT / name for name in names if (ROOT / name).is_file()}
    if not model.is_relative_to(ROOT):
        files |= {str(archived(model) / p.relative_to(model)): p for p in model.rglob("*") if p.is_file()}
    return files


def _policy(account: Account, name: str, repository: str) -> str:
    """A policy of jobs/policies with its placeholders replaced."""
    values = {
        "ACCOUNT": account.identity["Account"],
        "REGION": account.region,
        "BUCKET": account.bucket,
        image.DEFAULT: repository,
        "sentiment": account.prefix,
    }
    text = (ROOT / "jobs" / "policies" / f"{name}.json").read_text("utf-8")
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    return json.dumps(json.loads(text))


def _requests(account: Account, repository: str, command: list[str]) -> list[Request]:
    """Requests that create the role and the project unless they exist, and start the build."""
    name, codebuild = project(account), account.client("codebuild")
    role_arn = f"arn:{account.identity['Arn'].split(':')[1]}:iam::{account.identity['Account']}:role/{name}"
    trust = _policy(account, "execution-role-trust", repository).replace("sagemaker.amazonaws.com", SERVICE)
    policy = _policy(account, "codebuild-role", repository)
    creation = {"RoleName": name, "AssumeRolePolicyDocument": trust}
    definition = {
        "name": name,
        "source": {"type": "S3", "location": _location(account), "buildspec": "version: 0.2"},
        "artifacts": {"type": "NO_ARTIFACTS"},
        "environment": {
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/amazonlinux-x86_64-standard:5.0",
            "computeType": "BUILD_GENERAL1_LARGE",
            "privilegedMode": True,  # for Docker
        },
        "serviceRole": role_arn,
    }
    phases = {"build": {"commands": [shlex.join(command)]}}
    build = {"projectName": name, "buildspecOverride": json.dumps({"version": 0.2, "phases": phases})}
    has_project = codebuild.batch_get_projects(names=[name])["projects"]
    return [
        *([] if role.get_arn(account, name) else [Request("iam", "CreateRole", creation)]),
        Request("iam", "PutRolePolicy", {"RoleName": name, "PolicyName": name, "PolicyDocument": policy}),
        *([] if has_project else [Request("codebuild", "CreateProject", definition)]),
        Request("codebuild", "StartBuild", build),
    ]


def _location(account: Account) -> str:
    return account.uri("source").removeprefix("s3://") + "image.zip"


def delete_requests(account: Account) -> list[Request]:
    """Requests that delete the project, its role and the source."""
    name, (bucket, _, key) = project(account), _location(account).partition("/")
    roles = [
        Request("iam", "DeleteRolePolicy", {"RoleName": name, "PolicyName": name}),
        Request("iam", "DeleteRole", {"RoleName": name}),
    ]
    return [
        Request("codebuild", "DeleteProject", {"name": name}),
        *(roles if role.get_arn(account, name) else []),
        Request("s3", "DeleteObject", {"Bucket": bucket, "Key": key}),
    ]


def _send(account: Account, request: Request) -> dict[str, Any]:
    """Send a request; a new role may not be known to CodeBuild at once."""
    deadline = time.monotonic() + ROLE_SECONDS
    while True:
        try:
            return send(account, request)
        except ClientError as error:
            if "AssumeRole" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(POLL_SECONDS)


def _follow(account: Account, build: str) -> None:
    """Print the log of a build until it has ended.

    Raises:
        click.ClickException: it failed.
    """
    stream, tokens = build.partition(":")[2], dict[str, str]()
    while True:
        (state,) = account.client("codebuild").batch_get_builds(ids=[build])["builds"]
        for line in logs.new_lines(account, f"/aws/codebuild/{project(account)}", stream, tokens):
            click.echo(line, err=True)
        if state["buildStatus"] == "SUCCEEDED":
            return
        if state["buildStatus"] != "IN_PROGRESS":
            raise click.ClickException(f"build {build}: {state['buildStatus']}; its log is above")
        time.sleep(POLL_SECONDS)


@click.command()
@options.with_account
@click.argument("repository")
@click.argument("tag")
@click.option("--cpu", is_flag=True, help="Without CUDA.")
@options.dry_run
def build(account: Account, repository: str, tag: str, cpu: bool, dry_run: bool) -> None:
    """Build the image in AWS CodeBuild and push it to REPOSITORY:TAG.

    Used by build_and_push.sh --codebuild. Creates a CodeBuild project and its role if they are missing, and
    prints the image's URI.
    """
    model = options.current_package().folder
    command = ["bash", "build_and_push.sh", "--region", account.region, "--model", str(archived(model))]
    command += [*(["--cpu"] if cpu else []), repository, tag]
    bucket, _, key = _location(account).partition("/")
    requests = _requests(account, repository, command)
    if dry_run:
        show([Request("s3", "PutObject", {"Bucket": bucket, "Key": key}), *requests])
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, path in sorted(source_files(model).items()):
            file.write(path, name)
    storage.ensure_bucket(account)
    send(account, Request("s3", "PutObject", {"Bucket": bucket, "Key": key, "Body": archive.getvalue()}))
    for request in requests:
        answer = _send(account, request)
    click.echo(f"building in the CodeBuild project {project(account)}", err=True)
    _follow(account, answer["build"]["id"])
    names = {"repositoryNames": [repository]}
    answer = send(account, Request("ecr", "DescribeRepositories", names))
    click.echo(f"{answer['repositories'][0]['repositoryUri']}:{tag}")
