"""SageMaker's training program: hyperparameters and channels in, an artifact and metrics out.

On the platform the ``train`` program of sagemaker-training imports this module and calls ``main``
(``SAGEMAKER_TRAINING_MODULE=train:main``). Alone: ``python code/train.py --help``.

Hyperparameters come from ``input/config/hyperparameters.json`` below ``SAGEMAKER_BASE_DIR`` (default
/opt/ml); the command line overrides them: ``train --epochs 2 --hidden_dim 64``.
"""

import logging
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sagemaker_training.errors import ClientError

from sentiment import datasets, head_start, launch, pretraining, report, results
from sentiment.artifact import Artifact, save
from sentiment.calibration import calibrated, temperature
from sentiment.channels import are_to_pretrain
from sentiment.checkpoints import Checkpoint, Checkpoints
from sentiment.datasets import Datasets
from sentiment.evaluation import Metrics, evaluate_logits
from sentiment.failures import explain
from sentiment.hyperparameters import Hyperparameters, help_text, parse_command_line
from sentiment.model import SentimentLSTM
from sentiment.opt_ml import OptMl
from sentiment.precision import Hardware
from sentiment.ranks import ALONE, Ranks
from sentiment.settings import NetworkSettings
from sentiment.state import head_start_of
from sentiment.stop import Stop, Stopped
from sentiment.targets import Targets
from sentiment.training import TrainingLoop, evaluate_together, fit, set_up_torch
from sentiment.version import version

logger = logging.getLogger("sentiment.train")

NOTHING_TO_SAVE = "stopped before the first step: there is nothing to save"


@dataclass(frozen=True, slots=True)
class Job:
    """What is known of a job once its data is read."""

    opt_ml: OptMl
    hyperparameters: Hyperparameters
    settings: NetworkSettings
    data: Datasets
    loop: TrainingLoop
    ranks: Ranks

    @property
    def temperature(self) -> np.float32:
        """What the best logits so far are divided by; there has to have been a validation."""
        return temperature(self.loop.best_logits, self.data.held_out["validation"].labels)


def run(opt_ml: OptMl, arguments: Sequence[str], stop: Stop) -> None:
    """Train in this process, or start the processes that train, here and on every other host.

    Raises:
        Stopped: the job was told to stop before there was anything to save.
        SentimentError: a hyperparameter, the data or a checkpoint cannot be used, or the training cannot go
            on.
        OSError: a result cannot be written.
    """
    hyperparameters = Hyperparameters.parse(opt_ml.hyperparameters(), parse_command_line(arguments))
    if launch.is_worker():
        train(opt_ml, hyperparameters, Ranks.join(), stop)
        return
    hosts = opt_ml.hosts()
    processes = launch.processes_per_host(hyperparameters.processes_per_host)
    if processes * len(hosts.names) == 1:
        train(opt_ml, hyperparameters, ALONE, stop)
    else:
        logger.info("hosts: %d; processes on each: %d", len(hosts.names), processes)
        launch.run(arguments, hosts, processes, stop)


def train(opt_ml: OptMl, hyperparameters: Hyperparameters, ranks: Ranks, stop: Stop) -> None:
    """One process's part of a job, from channels to artifact and metrics."""
    start = time.perf_counter()
    if are_to_pretrain(opt_ml.channels()):
        pretraining.run(opt_ml, hyperparameters, ranks, stop)
        return
    checkpoints = Checkpoints(opt_ml.checkpoints, hyperparameters.checkpoint_minutes)
    found = ranks.broadcast(checkpoints.newest() if ranks.rank == 0 else None)
    job = prepare(opt_ml, hyperparameters, ranks, stop, Checkpoint.from_bytes(found) if found else None)
    loop, held_out = job.loop, job.data.held_out
    loop.write(checkpoints)  # the head start, which may have taken minutes
    if loop.history:
        write_model(job)  # the folder may be a new one
    finished = fit(loop, held_out["validation"], stop, checkpoints, lambda: write_model(job))
    logits = {"validation": loop.best_logits / job.temperature} if loop.history else {}
    if finished and "test" in held_out:
        logits |= measure_test(job, stop)
    if logits:
        write_results(job, logits)
    ranks.leave()
    if logits and ranks.rank == 0:
        report.write(opt_ml, time.perf_counter() - start)
    if finished:
        logger.info("done in %.0f s; the model is in %s", time.perf_counter() - start, opt_ml.model)
    else:
        logger.info("%s", where_it_stopped(job, checkpoints))


def prepare(
    opt_ml: OptMl, hyperparameters: Hyperparameters, ranks: Ranks, stop: Stop, found: Checkpoint | None
) -> Job:
    """Read the channels, and make the training: at its beginning, or where a checkpoint was made."""
    hardware = Hardware.of(ranks.device)
    hyperparameters = replace(hyperparameters, precision=hardware.resolve(hyperparameters.precision))
    set_up_torch(hyperparameters.seed)
    logger.info("version %s; on %s; %s", version(), hardware.name, hyperparameters)
    data = datasets.load(opt_ml.channels(), hyperparameters, opt_ml.sharded_channels(), ranks, stop)
    made_with = hyperparameters.that_decide() | data.fingerprint()
    if found is None:
        begin = head_start.make(data, hyperparameters, ranks, stop)
    else:
        found.check(made_with | {"processes": ranks.size})
        begin = head_start_of(found)
    data = data.with_phrases(begin.phrases)
    settings = NetworkSettings(
        vocab_size=len(data.vocabulary),
        embedding_dim=hyperparameters.embedding_dim,
        hidden_dim=hyperparameters.hidden_dim,
        pooling=hyperparameters.pooling,
    )
    dropouts = (hyperparameters.dropout, hyperparameters.embedding_dropout, hyperparameters.word_dropout)
    network = SentimentLSTM(settings, *dropouts)
    network.begin_with(begin.vectors, begin.evidence)
    network.to(ranks.device)
    training = Targets(head_start.to_learn_from(data, hyperparameters), begin.probabilities, begin.evidence)
    loop = TrainingLoop(network, training, hyperparameters, made_with, ranks, begin)
    if found is not None:
        loop.restore(found)
    elif hyperparameters.has_head_start:
        loop.written = None
    return Job(opt_ml, hyperparameters, settings, data, loop, ranks)


def measure_test(job: Job, stop: Stop) -> dict[str, NDArray[np.float32]]:
    """The best weights' logits on the channel ``test``; none if the job is told to stop meanwhile."""
    network = job.loop.network
    network.load_state_dict(job.loop.best_weights)
    try:
        logits = evaluate_together(network, job.data.held_out["test"].sequences, job.ranks, stop)
        return {"test": logits / job.temperature}
    except Stopped:
        logger.info("stopped: the channel test is not measured")
        return {}


def write_model(job: Job, measured: Mapping[str, Metrics] | None = None) -> dict[str, Any]:
    """Write the artifact of the best weights so far, from rank 0 only; returns its figures.

    Args:
        job: the job.
        measured: figures of held-out sets, by name; those of the best validation where there are none.
    """
    logits, labels = job.loop.best_logits / job.temperature, job.data.held_out["validation"].labels
    metrics = measured or {"validation": evaluate_logits(logits, labels)}
    summary = results.summary(job.loop.history, metrics) | {"temperature": float(job.temperature)}
    training = {
        "hyperparameters": asdict(job.hyperparameters),
        "reviews": {"training": len(job.data.training.labels), "unlabeled": len(job.data.unlabeled)},
        **summary,
    }
    if job.ranks.rank == 0:
        weights = calibrated(job.loop.best_weights, job.temperature)
        artifact = Artifact(weights, job.data.vocabulary, job.settings, job.data.text, training)
        save(artifact, job.opt_ml.model)
    return summary


def write_results(job: Job, logits: Mapping[str, NDArray[np.float32]]) -> None:
    """Write everything that the job leaves, from the best weights' calibrated logits on what was held out."""
    held_out = {name: job.data.held_out[name] for name in logits}
    metrics = {name: evaluate_logits(logits[name], part.labels) for name, part in held_out.items()}
    for name, figures in metrics.items():
        logger.info("%s", results.describe(name, figures))
    summary = write_model(job, metrics)
    if job.ranks.rank == 0:
        output = job.opt_ml.output_data
        results.write_metrics(output, summary)
        data = job.opt_ml.base / "input" / "data"
        results.write_predictions(output, data, held_out, logits, job.data.word_counts, job.data.sources)


def where_it_stopped(job: Job, checkpoints: Checkpoints) -> str:
    """One line for whoever stopped the job."""
    epochs, batches = job.loop.position
    if not epochs and not batches:
        if checkpoints.folder is None or not job.hyperparameters.has_head_start:
            return NOTHING_TO_SAVE
        return f"stopped before the first step; the same job would go on from {checkpoints.folder}"
    where = f"stopped in epoch {epochs + 1} after {batches} of {job.loop.batches_an_epoch} batches"
    model = (
        f"the best model so far is in {job.opt_ml.model}" if epochs else "no model, since no epoch is over"
    )
    if checkpoints.folder is None:
        return f"{where}; {model}; no checkpoint, since there is no {job.opt_ml.checkpoints}"
    return f"{where}; {model}; the same job would go on from {checkpoints.folder}"


def main() -> None:
    """Run the job; however it fails, leave the reason in ``output/failure``. To be stopped is no failure.

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
    stop = Stop()
    stop.listen(launch.STOP_SIGNAL if launch.is_worker() else signal.SIGTERM)
    try:
        if launch.is_worker():
            launch.end_with_parent()
        else:
            opt_ml.failure.unlink(missing_ok=True)  # of an earlier job in the same folder
        run(opt_ml, arguments, stop)
    except Stopped:
        logger.info(NOTHING_TO_SAVE)
    except BaseException as error:
        if launch.is_worker():
            launch.report(error)
            sys.exit(1)
        message = explain(error)
        _write_failure(opt_ml, message)
        raise ClientError(message) from error
    finally:
        stop.ignore()


def _log_to_stdout() -> None:
    """Our own lines as they are, without the toolkit's prefix; of several processes only the first one's."""
    package = logging.getLogger("sentiment")
    package.handlers = [logging.StreamHandler(sys.stdout)]
    package.setLevel(logging.INFO if os.environ.get("RANK", "0") == "0" else logging.WARNING)
    package.propagate = False


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
