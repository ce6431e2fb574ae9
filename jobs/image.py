"""Find the image that build_and_push.sh pushed to ECR."""

import re

import click
from botocore.exceptions import ClientError

from jobs.account import Account
from jobs.aws_request import Request, send

DEFAULT = "sagemaker-sentiment-lstm"  # the default of build_and_push.sh
NOT_FOUND = ("RepositoryNotFoundException", "ImageNotFoundException")
_TAGGED = re.compile(r"(?P<repository>(?P<registry>\d{12})\.dkr\.[^/]+/(?P<name>[^:@]+))(:(?P<tag>[^:@]+))?")


def find(account: Account, image: str | None) -> str:
    """The URI of an image with its digest, so that a later push to its tag does not change a saved model.

    ``image`` is NAME, NAME:TAG or a full URI; by default the image of the model package. ECR is asked for the
    repository's URI because its domain depends on the AWS partition.

    Raises:
        click.ClickException: the image does not exist, or ECR allows no such name.
    """
    is_default = account.prefix == "sentiment"
    image = image or (DEFAULT if is_default else f"sagemaker-{account.prefix}")
    if ".dkr." in image.partition("/")[0]:
        return pin(account, image)
    name, _, tag = image.partition(":")
    tag = tag or "latest"
    try:
        repositories = send(account, Request("ecr", "DescribeRepositories", {"repositoryNames": [name]}))
        return f"{repositories['repositories'][0]['repositoryUri']}@{_digest(account, name, tag)}"
    except ClientError as error:
        if error.response["Error"]["Code"] not in NOT_FOUND:
            raise
        model = "" if is_default else "--model FOLDER "
        command = f"./build_and_push.sh {model}--region {account.region} {name} {tag}"
        raise click.ClickException(f"no image {name}:{tag} in {account.region}; run {command}") from error


def pin(account: Account, uri: str) -> str:
    """The URI of an image in ECR with its digest; unchanged, with a warning, where ECR refuses to return it.

    Raises:
        click.ClickException: the image does not exist.
    """
    match = _TAGGED.fullmatch(uri)
    if not match:
        return uri
    try:
        digest = _digest(account, match["name"], match["tag"] or "latest", registryId=match["registry"])
    except ClientError as error:
        if error.response["Error"]["Code"] in NOT_FOUND:
            raise click.ClickException(f"no image {uri} in {account.region}; push it first") from error
        click.echo(f"warning: a later push to {uri} changes the model: {error}", err=True)
        return uri
    return f"{match['repository']}@{digest}"


def _digest(account: Account, name: str, tag: str, **registry: str) -> str:
    images = {"repositoryName": name, "imageIds": [{"imageTag": tag}], **registry}
    return str(send(account, Request("ecr", "DescribeImages", images))["imageDetails"][0]["imageDigest"])
