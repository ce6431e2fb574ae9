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
from collections.abc import Sequence

from sagemaker_training.errors import ClientError

from byoc.checkpoints import Checkpoints
from byoc.distributed import launcher as launch
from byoc.distributed.process_group import SINGLE_PROCESS, ProcessGroup
from byoc.errors import explain
from byoc.opt_ml import OptMl
from byoc.signals import StopFlag, Stopped
from sentiment.data.channels import are_to_pretrain
from sentiment.evaluation import report
from sentiment.hyperparameters import Hyperparameters, help_text, parse_command_line
from sentiment.training import pretraining
from sentiment.training.run import (
    NOTHING_TO_SAVE,
    measure_test,
    prepare,
    where_it_stopped,
    write_model,
    write_results,
)
from sentiment.training.stage_cache import remove_stages
from sentiment.training.trainer import fit

logger = logging.getLogger("train")


def run(opt_ml: OptMl, arguments: Sequence[str], stop: StopFlag) -> None:
    """Train in this process, or start the processes that train, here and on every other host.

    Raises:
        Stopped: the job was told to stop before there was anything to save.
        UserError: a hyperparameter, the data or a checkpoint cannot be used, or the training cannot go
            on.
        OSError: a result cannot be written.
    """
    hyperparameters = Hyperparameters.parse(opt_ml.hyperparameters(), parse_command_line(arguments))
    if launch.is_worker():
        train(opt_ml, hyperparameters, ProcessGroup.init(), stop)
        return
    hosts = opt_ml.hosts()
    processes = launch.processes_per_host(hyperparameters.processes_per_host)
    if processes * len(hosts.names) == 1:
        train(opt_ml, hyperparameters, SINGLE_PROCESS, stop)
    else:
        logger.info("hosts: %d; processes on each: %d", len(hosts.names), processes)
        launch.run(arguments, hosts, processes, stop)


def train(
    opt_ml: OptMl, hyperparameters: Hyperparameters, process_group: ProcessGroup, stop: StopFlag
) -> None:
    """One process's part of a job, from channels to artifact and metrics."""
    start = time.perf_counter()
    if are_to_pretrain(opt_ml.channels()):
        pretraining.run(opt_ml, hyperparameters, process_group, stop)
        return
    checkpoints = Checkpoints(opt_ml.checkpoints, hyperparameters.checkpoint_interval_minutes)
    try:
        job = prepare(opt_ml, hyperparameters, process_group, stop, checkpoints)
    except Stopped:
        if not checkpoints.are_begun:
            raise
        message = f"stopped before the next step; the same job would go on from {checkpoints.folder}"
        raise Stopped(message) from None
    loop, held_out = job.loop, job.data.held_out
    loop.write(checkpoints)  # the head start, which may have taken minutes
    if process_group.rank == 0:
        remove_stages(checkpoints.folder)
    if loop.history:
        write_model(job)  # the folder may be a new one
    finished = fit(loop, held_out["validation"], stop, checkpoints, lambda: write_model(job))
    logits = {"validation": loop.best_logits / job.temperature} if loop.history else {}
    if finished and "test" in held_out:
        logits |= measure_test(job, stop)
    if logits:
        write_results(job, logits)
    process_group.destroy()
    if logits and process_group.rank == 0:
        report.write(opt_ml, time.perf_counter() - start)
    if finished:
        logger.info("done in %.0f s; the model is in %s", time.perf_counter() - start, opt_ml.model)
    else:
        logger.info("%s", where_it_stopped(job, checkpoints))


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
    stop = StopFlag()
    stop.listen(launch.STOP_SIGNAL if launch.is_worker() else signal.SIGTERM)
    try:
        if launch.is_worker():
            launch.end_with_parent()
        else:
            opt_ml.failure.unlink(missing_ok=True)  # of an earlier job in the same folder
        run(opt_ml, arguments, stop)
    except Stopped as stopped:
        logger.info("%s", str(stopped) or NOTHING_TO_SAVE)
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
    for name in ("train", "byoc", "sentiment"):
        package = logging.getLogger(name)
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
    if launch.is_worker():
        launch.end()
