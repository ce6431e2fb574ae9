"""Find the image that build_and_push.sh pushed to ECR."""

import click
from botocore.exceptions import ClientError

from jobs.account import Account

DEFAULT = "sagemaker-sentiment-lstm:latest"  # the default of build_and_push.sh


def find(account: Account, image: str) -> str:
    """The URI of an image, from NAME, NAME:TAG or a full URI.

    ECR is asked for the repository's URI because its domain depends on the AWS partition.

    Raises:
        click.ClickException: the image does not exist.
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
        command = f"./build_and_push.sh --region {account.region} {name} {tag}"
        raise click.ClickException(
            f"no image {name}:{tag} in ECR in {account.region}; to push it: {command}"
        ) from error
    return f"{uri}:{tag}"
