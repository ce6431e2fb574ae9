"""Train on two hosts by the SageMaker Python SDK 2 in local mode: ``two_hosts.py IMAGE FOLDER``.

Runs in the environment of requirements/sdk2.txt. FOLDER holds the channel ``training``, and gets ``output``.
"""

import sys
from pathlib import Path

from sagemaker.estimator import Estimator
from sagemaker.local import LocalSession


def main(image: str, folder: Path) -> None:
    """Run the job."""
    session = LocalSession()
    session.config = {"local": {"local_code": True}}
    (folder / "output").mkdir()
    estimator = Estimator(
        image_uri=image,
        role="arn:aws:iam::123456789012:role/sagemaker",
        instance_count=2,
        instance_type="local",
        sagemaker_session=session,
        output_path=(folder / "output").as_uri(),
        hyperparameters={
            "epochs": 2,
            "precision": "fp32",  # The sums of two hosts and of one host differ only by rounding.
            "hidden_dim": 16,
            "embedding_dim": 16,
            "pretraining_epochs": 0,
            "ngram_weight": 0,
            "pooling": "max",
            "weight_decay": 0,
            "embedding_lr_scale": 1,
            "ema_decay": 0,
            "word_dropout": 0,
            "dropout": 0,
            "embedding_dropout": 0,
        },
    )
    estimator.fit({"training": (folder / "training").as_uri()})


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
