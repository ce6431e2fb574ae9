"""Find the image that build_and_push.sh pushed to ECR."""

import click
from botocore.exceptions import ClientError

from jobs.account import Account

DEFAULT = "sagemaker-sentiment-lstm"  # the default of build_and_push.sh


def find(account: Account, image: str | None) -> str:
    """The URI of an image, from NAME, NAME:TAG or a full URI; by default the image of the model package.

    ECR is asked for the repository's URI because its domain depends on the AWS partition.

    Raises:
        click.ClickException: the image does not exist.
    """
    is_default = account.prefix == "sentiment"
    image = image or (DEFAULT if is_default else f"sagemaker-{account.prefix}")
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
        model = "" if is_default else "--model FOLDER "
        command = f"./build_and_push.sh {model}--region {account.region} {name} {tag}"
        raise click.ClickException(
            f"no image {name}:{tag} in ECR in {account.region}; to push it: {command}"
        ) from error
    return f"{uri}:{tag}"
