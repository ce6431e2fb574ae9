"""One job: its data, its network and loop, and what it leaves."""

import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byoc.checkpoints import Checkpoint
from byoc.job import Job
from byoc.signals import Stopped
from byoc.version import version
from sentiment.data import datasets
from sentiment.data.channels import are_to_pretrain
from sentiment.data.datasets import Datasets
from sentiment.evaluation import report
from sentiment.evaluation.metrics import Metrics, evaluate_logits
from sentiment.hyperparameters import Hyperparameters
from sentiment.model.artifact import Artifact, write_files
from sentiment.model.calibration import calibrated, temperature
from sentiment.model.network import SentimentLSTM
from sentiment.model.precision import Hardware
from sentiment.settings import NetworkSettings
from sentiment.training import pretraining, results
from sentiment.training import warm_start as head_start
from sentiment.training.loader import Targets
from sentiment.training.stage_cache import Stages, remove_stages
from sentiment.training.state import head_start_of
from sentiment.training.trainer import TrainingLoop, evaluate_together, fit, set_up_torch

logger = logging.getLogger(__name__)

NOTHING_TO_SAVE = "stopped before the first step: there is nothing to save"


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """A job after its data is read."""

    job: Job
    hyperparameters: Hyperparameters
    settings: NetworkSettings
    data: Datasets
    loop: TrainingLoop

    @property
    def temperature(self) -> np.float32:
        """What the best logits so far are divided by; there has to have been a validation."""
        return temperature(self.loop.best_logits, self.data.held_out["validation"].labels)


def train(job: Job) -> None:
    """Train, from channels to artifact, metrics and report; with unlabeled reviews alone, make embeddings.

    Raises:
        Stopped: a stop was requested before there was a model.
        UserError: the data or a checkpoint cannot be used, or training cannot go on.
        OSError: a result cannot be written.
    """
    start = time.perf_counter()
    if are_to_pretrain(job.channels):
        pretraining.run(job)
        return
    checkpoints = job.checkpoints
    try:
        run = setup(job)
    except Stopped:
        if not checkpoints.are_begun:
            raise
        message = f"stopped before the next step; the same job would go on from {checkpoints.folder}"
        raise Stopped(message) from None
    loop, held_out = run.loop, run.data.held_out
    loop.write(checkpoints)  # the head start, which may have taken minutes
    if job.process_group.rank == 0:
        remove_stages(checkpoints.folder)
    if loop.history:
        write_model(run)  # the folder may be a new one
    finished = fit(loop, held_out["validation"], job.stop, checkpoints, lambda: write_model(run))
    logits = {"validation": loop.best_logits / run.temperature} if loop.history else {}
    if finished and "test" in held_out:
        logits |= evaluate_test(run)
    if logits:
        write_results(run, logits)
        if job.process_group.rank == 0:
            report.write(job.opt_ml, time.perf_counter() - start)
    if finished:
        logger.info("done in %.0f s; the model is in %s", time.perf_counter() - start, job.opt_ml.model)
    else:
        logger.info("%s", stop_message(run))


def setup(job: Job) -> TrainingRun:
    """Read the channels, and make the training: at its beginning, or where a checkpoint was made.

    Raises:
        Stopped: a stop was requested meanwhile.
        UserError: the data or a checkpoint cannot be used.
        OSError: a checkpoint cannot be written.
    """
    hyperparameters: Hyperparameters = job.hyperparameters
    process_group, stop, checkpoints = job.process_group, job.stop, job.checkpoints
    hardware = Hardware.of(process_group.device)
    hyperparameters = replace(hyperparameters, precision=hardware.resolve(hyperparameters.precision))
    set_up_torch(hyperparameters.seed)
    logger.info("version %s; on %s; %s", version(), hardware.name, hyperparameters)
    content = process_group.broadcast(checkpoints.newest() if process_group.rank == 0 else None)
    data = datasets.load(job.channels, hyperparameters, job.opt_ml.sharded_channels(), process_group, stop)
    made_with = hyperparameters.that_decide() | data.fingerprint()
    made_with |= {"processes": process_group.size, "device": process_group.device.type}
    found = Checkpoint.from_bytes(content) if content else None
    if found is None:
        stages = Stages(checkpoints.folder, made_with)
        begin = head_start.make(data, hyperparameters, process_group, stop, stages)
    else:
        found.check(made_with)
        begin = head_start_of(found)
    data = data.insert_ngrams(begin.ngrams)
    settings = NetworkSettings(
        vocab_size=len(data.vocabulary),
        embedding_dim=hyperparameters.embedding_dim,
        hidden_dim=hyperparameters.hidden_dim,
        pooling=hyperparameters.pooling,
        ngram_scores=begin.ngram_scores is not None,
    )
    dropouts = (hyperparameters.dropout, hyperparameters.embedding_dropout, hyperparameters.word_dropout)
    network = SentimentLSTM(settings, *dropouts)
    network.begin_with(begin.vectors, begin.ngram_scores)
    network.to(process_group.device)
    sequences = head_start.training_sequences(data, hyperparameters)
    training = Targets(sequences, begin.probabilities, begin.ngram_scores)
    loop = TrainingLoop(network, training, hyperparameters, made_with, process_group, begin)
    if found is not None:
        loop.restore(found)
    elif hyperparameters.has_head_start:
        loop.written = None
    return TrainingRun(job, hyperparameters, settings, data, loop)


def evaluate_test(run: TrainingRun) -> dict[str, NDArray[np.float32]]:
    """The best weights' logits on the channel ``test``; none if the job is told to stop meanwhile."""
    network = run.loop.network
    network.load_state_dict(run.loop.best_weights)
    try:
        logits = evaluate_together(
            network, run.data.held_out["test"].sequences, run.job.process_group, run.job.stop
        )
        return {"test": logits / run.temperature}
    except Stopped:
        logger.info("stopped: the channel test is not measured")
        return {}


def write_model(run: TrainingRun, measured: Mapping[str, Metrics] | None = None) -> dict[str, Any]:
    """Write the artifact of the best weights so far, from rank 0 only; returns its figures.

    Args:
        run: the run.
        measured: figures of held-out sets, by name; those of the best validation where there are none.
    """
    logits, labels = run.loop.best_logits / run.temperature, run.data.held_out["validation"].labels
    metrics = measured or {"validation": evaluate_logits(logits, labels)}
    summary = results.summary(run.loop.history, metrics) | {"temperature": float(run.temperature)}
    training = {
        "hyperparameters": asdict(run.hyperparameters),
        "reviews": {"training": len(run.data.training.labels), "unlabeled": len(run.data.unlabeled.labels)},
        **summary,
    }
    weights = calibrated(run.loop.best_weights, run.temperature)
    artifact = Artifact(weights, run.data.vocabulary, run.settings, run.data.text, training)
    run.job.write_artifact(partial(write_files, artifact))
    return summary


def write_results(run: TrainingRun, logits: Mapping[str, NDArray[np.float32]]) -> None:
    """Write everything that the job leaves, from the best weights' calibrated logits on what was held out."""
    held_out = {name: run.data.held_out[name] for name in logits}
    metrics = {name: evaluate_logits(logits[name], part.labels) for name, part in held_out.items()}
    for name, figures in metrics.items():
        logger.info("%s", results.describe(name, figures))
    summary = write_model(run, metrics)
    if run.job.process_group.rank == 0:
        output = run.job.opt_ml.output_data
        results.write_metrics(output, summary)
        data = run.job.opt_ml.base / "input" / "data"
        results.write_predictions(output, data, held_out, logits, run.data.word_counts, run.data.sources)


def stop_message(run: TrainingRun) -> str:
    """One line for whoever stopped the job."""
    epochs, batches = run.loop.position
    checkpoints = run.job.checkpoints
    if not epochs and not batches:
        if checkpoints.folder is None or not run.hyperparameters.has_head_start:
            return NOTHING_TO_SAVE
        return f"stopped before the first step; the same job would go on from {checkpoints.folder}"
    where = f"stopped in epoch {epochs + 1} after {batches} of {run.loop.batches_an_epoch} batches"
    model = (
        f"the best model so far is in {run.job.opt_ml.model}"
        if epochs
        else "no model, since no epoch is over"
    )
    if checkpoints.folder is None:
        return f"{where}; {model}; no checkpoint, since there is no {run.job.opt_ml.checkpoints}"
    return f"{where}; {model}; the same job would go on from {checkpoints.folder}"
