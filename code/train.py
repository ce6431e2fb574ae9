"""SageMaker's training program: picks the model package, parses hyperparameters, trains, exits.

On the platform the ``train`` program of sagemaker-training imports this module and calls ``main``
(``SAGEMAKER_TRAINING_MODULE=train:main``). Alone: ``python code/train.py --help``.

Hyperparameters come from ``input/config/hyperparameters.json`` below ``SAGEMAKER_BASE_DIR`` (/opt/ml); the
command line overrides them: ``train --epochs 2``. ``MODEL_PACKAGE`` names the model package (sentiment).
"""

import logging
import os
import signal
import sys
from collections.abc import Sequence

from sagemaker_training.errors import ClientError

from byoc.artifact import restore_copy
from byoc.distributed import launcher
from byoc.distributed.process_group import SINGLE_PROCESS, ProcessGroup
from byoc.errors import ArtifactError, HostError, explain
from byoc.hyperparameters import help_text, parse_command_line, parse_hyperparameters
from byoc.job import Job
from byoc.opt_ml import OptMl
from byoc.package import import_package, package_name
from byoc.signals import NOTHING_TO_SAVE, StopFlag, Stopped

logger = logging.getLogger("train")


def run(opt_ml: OptMl, arguments: Sequence[str], stop: StopFlag) -> None:
    """Train in this process, or start the training processes of this host.

    Raises:
        Stopped: a stop was requested before there was a model.
        UserError: the package, a hyperparameter, the data or a checkpoint cannot be used.
        OSError: a result cannot be written.
    """
    package = import_package()
    hyperparameters = parse_hyperparameters(
        package.Hyperparameters, opt_ml.hyperparameters(), parse_command_line(arguments)
    )
    process_group = ProcessGroup.init() if launcher.is_worker() else SINGLE_PROCESS
    if not launcher.is_worker():
        hosts = opt_ml.hosts()
        wanted = getattr(hyperparameters, "processes_per_host", 0)
        processes = launcher.processes_per_host(wanted) if package.distributed else 1
        if len(hosts.names) > 1 and not package.distributed:
            raise HostError(f"package {package_name()} trains on one host; set the instance count to 1")
        if processes * len(hosts.names) > 1:
            logger.info("hosts: %d; processes on each: %d", len(hosts.names), processes)
            launcher.run(arguments, hosts, processes, stop)
            return
    package.train(Job(package_name(), opt_ml, hyperparameters, stop, process_group))
    process_group.destroy()


def restore_model(opt_ml: OptMl) -> None:
    """Deliver the model of an earlier instance from the checkpoint folder, if the job has none yet."""
    if launcher.is_worker() or opt_ml.hosts().position > 0:
        return
    try:
        if restore_copy(opt_ml.checkpoints, opt_ml.model, package_name()):
            logger.info("%s has the best model of the earlier instance", opt_ml.model)
    except ArtifactError as error:
        logger.warning("there is no model to deliver: %s", error)


def main() -> None:
    """Run the job. A failure leaves its reason in ``output/failure``; a requested stop is no failure.

    Raises:
        ClientError: the job failed. The toolkit reports this exception alone without a traceback; it takes
            SystemExit, KeyboardInterrupt and some OSErrors for success.
    """
    arguments = sys.argv[1:]
    if {"-h", "--help"} & set(arguments):
        print(f"{__doc__}\n{help_text(import_package().Hyperparameters)}")
        return
    _log_to_stdout()
    opt_ml = OptMl.from_environment()
    stop = StopFlag()
    stop.listen(launcher.STOP_SIGNAL if launcher.is_worker() else signal.SIGTERM)
    try:
        if launcher.is_worker():
            launcher.end_with_parent()
        else:
            opt_ml.failure.unlink(missing_ok=True)  # from an earlier job in the same folder
        try:
            run(opt_ml, arguments, stop)
        except Stopped as stopped:
            logger.info("%s", str(stopped) or NOTHING_TO_SAVE)
        if stop.requested:
            restore_model(opt_ml)
    except BaseException as error:
        if launcher.is_worker():
            launcher.report(error)
            launcher.end(1)
        message = explain(error)
        _write_failure(opt_ml, message)
        raise ClientError(message) from error
    finally:
        stop.ignore()


def _log_to_stdout() -> None:
    """Log without the toolkit's prefix; of several processes, only rank 0 logs below warnings."""
    is_quiet = launcher.is_worker() and os.environ["RANK"] != "0"
    for name in ("train", "byoc", package_name()):
        package = logging.getLogger(name)
        package.handlers = [logging.StreamHandler(sys.stdout)]
        package.setLevel(logging.WARNING if is_quiet else logging.INFO)
        package.propagate = False


def _write_failure(opt_ml: OptMl, message: str) -> None:
    try:
        opt_ml.write_failure(message)
    except OSError as error:
        # The toolkit would fail at the same file and exit with 0.
        print(f"{message}\nthe failure file cannot be written: {error}", file=sys.stderr, flush=True)
        os._exit(1)


if __name__ == "__main__":
    try:
        main()
    except ClientError as failure:
        sys.exit(str(failure))
    if launcher.is_worker():
        launcher.end()
