"""SageMaker's training program: hyperparameters and channels in, an artifact and metrics out.

On the platform the ``train`` program of sagemaker-training imports this module and calls ``main``
(``SAGEMAKER_TRAINING_MODULE=train:main``). Alone: ``python code/train.py --help``.

Hyperparameters come from ``input/config/hyperparameters.json`` below ``SAGEMAKER_BASE_DIR`` (default
/opt/ml); the command line overrides them: ``train --epochs 2 --hidden_dim 64``.
"""

import logging
import os
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict

import torch
from sagemaker_training.errors import ClientError

from sentiment import datasets, results
from sentiment.artifact import Artifact, save
from sentiment.datasets import Datasets
from sentiment.errors import SentimentError
from sentiment.evaluation import evaluate_logits
from sentiment.hyperparameters import Hyperparameters, help_text, parse_command_line
from sentiment.model import SentimentLSTM, evaluate
from sentiment.opt_ml import OptMl
from sentiment.settings import NetworkSettings
from sentiment.training import Epoch, check_precision, fit, set_up_torch
from sentiment.version import version

logger = logging.getLogger("sentiment.train")


def run(opt_ml: OptMl, arguments: Sequence[str]) -> None:
    """One training job, from hyperparameters and channels to artifact and metrics.

    Raises:
        SentimentError: a hyperparameter or the data cannot be used, or the training cannot go on.
        OSError: a result cannot be written.
    """
    start = time.perf_counter()
    hyperparameters = Hyperparameters.parse(opt_ml.hyperparameters(), parse_command_line(arguments))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    check_precision(hyperparameters.precision, device)
    set_up_torch(hyperparameters.seed)
    logger.info("version %s; on %s; %s", version(), device, hyperparameters)
    data = datasets.load(opt_ml.channels(), hyperparameters)
    settings = NetworkSettings(
        vocab_size=len(data.vocabulary),
        embedding_dim=hyperparameters.embedding_dim,
        hidden_dim=hyperparameters.hidden_dim,
        pooling=hyperparameters.pooling,
    )
    network = SentimentLSTM(settings, hyperparameters.dropout, hyperparameters.embedding_dropout)
    network.to(device)
    history = fit(network, data.training, data.held_out["validation"], hyperparameters)
    write_results(opt_ml, hyperparameters, settings, data, network, history)
    logger.info("done in %.0f s; the model is in %s", time.perf_counter() - start, opt_ml.model)


def write_results(
    opt_ml: OptMl,
    hyperparameters: Hyperparameters,
    settings: NetworkSettings,
    data: Datasets,
    network: SentimentLSTM,
    history: list[Epoch],
) -> None:
    """Measure the trained network on what was held out, and write everything that the job leaves."""
    logits = {name: evaluate(network, part.sequences) for name, part in data.held_out.items()}
    metrics = {name: evaluate_logits(logits[name], part.labels) for name, part in data.held_out.items()}
    for name, figures in metrics.items():
        logger.info("%s", results.describe(name, figures))
    summary = results.summary(history, metrics)
    training = {
        "hyperparameters": asdict(hyperparameters),
        "reviews": {"training": len(data.training.labels)},
        **summary,
    }
    weights = {name: tensor.cpu().numpy() for name, tensor in network.state_dict().items()}
    save(Artifact(weights, data.vocabulary, settings, data.text, training), opt_ml.model)
    results.write_metrics(opt_ml.output_data, summary)
    results.write_predictions(
        opt_ml.output_data, opt_ml.base / "input" / "data", data.held_out, logits, data.sources
    )


def main() -> None:
    """Run the job; however it fails, leave the reason in ``output/failure``.

    Raises:
        ClientError: for every bad ending. It is the one exception that the toolkit reports without a
            traceback; SystemExit, KeyboardInterrupt and some OSErrors it would take for a success.
    """
    arguments = sys.argv[1:]
    if {"-h", "--help"} & set(arguments):
        print(f"{__doc__}\n{help_text()}")
        return
    _log_to_stdout()
    opt_ml = OptMl.from_environment()
    try:
        run(opt_ml, arguments)
    except BaseException as error:
        message = _cause(error)
        _write_failure(opt_ml, message)
        raise ClientError(message) from error


def _log_to_stdout() -> None:
    """Our own lines as they are, without the toolkit's prefix."""
    package = logging.getLogger("sentiment")
    package.handlers = [logging.StreamHandler(sys.stdout)]
    package.setLevel(logging.INFO)
    package.propagate = False


def _cause(error: BaseException) -> str:
    """What to tell about a failure, the cause first; a traceback is logged only for a bug of ours."""
    if isinstance(error, SentimentError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return "interrupted; no model was saved"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    traceback.print_exception(error)
    return f"{type(error).__name__}: {error}"


def _write_failure(opt_ml: OptMl, message: str) -> None:
    try:
        opt_ml.write_failure(message)
    except OSError as error:
        # The toolkit would fail at the same file, and then exit with 0.
        print(f"{message}\nthe failure file cannot be written: {error}", file=sys.stderr, flush=True)
        os._exit(1)


if __name__ == "__main__":
    try:
        main()
    except ClientError as failure:
        sys.exit(str(failure))
