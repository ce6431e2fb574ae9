"""One job: its data, its network and loop, and what it leaves."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byoc.checkpoints import Checkpoint, Checkpoints
from byoc.distributed.process_group import ProcessGroup
from byoc.opt_ml import OptMl
from byoc.signals import StopFlag, Stopped
from byoc.version import version
from sentiment.data import datasets
from sentiment.data.datasets import Datasets
from sentiment.evaluation.metrics import Metrics, evaluate_logits
from sentiment.hyperparameters import Hyperparameters
from sentiment.model.artifact import Artifact, save
from sentiment.model.calibration import calibrated, temperature
from sentiment.model.network import SentimentLSTM
from sentiment.model.precision import Hardware
from sentiment.settings import NetworkSettings
from sentiment.training import results
from sentiment.training import warm_start as head_start
from sentiment.training.loader import Targets
from sentiment.training.stage_cache import Stages
from sentiment.training.state import head_start_of
from sentiment.training.trainer import TrainingLoop, evaluate_together, set_up_torch

logger = logging.getLogger(__name__)

NOTHING_TO_SAVE = "stopped before the first step: there is nothing to save"


@dataclass(frozen=True, slots=True)
class Job:
    """What is known of a job once its data is read."""

    opt_ml: OptMl
    hyperparameters: Hyperparameters
    settings: NetworkSettings
    data: Datasets
    loop: TrainingLoop
    process_group: ProcessGroup

    @property
    def temperature(self) -> np.float32:
        """What the best logits so far are divided by; there has to have been a validation."""
        return temperature(self.loop.best_logits, self.data.held_out["validation"].labels)


def prepare(
    opt_ml: OptMl,
    hyperparameters: Hyperparameters,
    process_group: ProcessGroup,
    stop: StopFlag,
    checkpoints: Checkpoints,
) -> Job:
    """Read the channels, and make the training: at its beginning, or where a checkpoint was made.

    Raises:
        Stopped: the job was told to stop meanwhile.
        UserError: the data or a checkpoint cannot be used.
        OSError: a checkpoint cannot be written.
    """
    hardware = Hardware.of(process_group.device)
    hyperparameters = replace(hyperparameters, precision=hardware.resolve(hyperparameters.precision))
    set_up_torch(hyperparameters.seed)
    logger.info("version %s; on %s; %s", version(), hardware.name, hyperparameters)
    content = process_group.broadcast(checkpoints.newest() if process_group.rank == 0 else None)
    data = datasets.load(opt_ml.channels(), hyperparameters, opt_ml.sharded_channels(), process_group, stop)
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
    sequences = head_start.to_learn_from(data, hyperparameters)
    training = Targets(sequences, begin.probabilities, begin.ngram_scores)
    loop = TrainingLoop(network, training, hyperparameters, made_with, process_group, begin)
    if found is not None:
        loop.restore(found)
    elif hyperparameters.has_head_start:
        loop.written = None
    return Job(opt_ml, hyperparameters, settings, data, loop, process_group)


def measure_test(job: Job, stop: StopFlag) -> dict[str, NDArray[np.float32]]:
    """The best weights' logits on the channel ``test``; none if the job is told to stop meanwhile."""
    network = job.loop.network
    network.load_state_dict(job.loop.best_weights)
    try:
        logits = evaluate_together(network, job.data.held_out["test"].sequences, job.process_group, stop)
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
    if job.process_group.rank == 0:
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
    if job.process_group.rank == 0:
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
