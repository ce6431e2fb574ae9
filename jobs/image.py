"""The image that jobs run, as build_and_push.sh has pushed it."""

import click
from botocore.exceptions import ClientError

from jobs.account import Account

DEFAULT = "sagemaker-sentiment-lstm:latest"  # what build_and_push.sh pushes when it is told nothing


def find(account: Account, image: str) -> str:
    """The URI of an image: given as such, or by the name, with or without a tag, that it has in ECR.

    The URI is asked of ECR, as build_and_push.sh does, because its domain depends on the partition.

    Raises:
        click.ClickException: the image was not pushed.
    """
    if ".dkr." in image.partition("/")[0]:
        return image
    name, _, tag = image.partition(":")
    tag = tag or "latest"
    ecr = account.client("ecr")
    try:
        uri = ecr.describe_repositories(repositoryNames=[name])["repositories"][0]["repositoryUri"]
        ecr.describe_images(repositoryName=name, imageIds=[{"imageTag": tag}])
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("RepositoryNotFoundException", "ImageNotFoundException"):
            raise
        raise click.ClickException(
            f"there is no image {name}:{tag} in ECR in {account.region}; "
            f"push it: ./build_and_push.sh --region {account.region} {name} {tag}"
        ) from error
    return f"{uri}:{tag}"
