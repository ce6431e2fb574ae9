"""Everything that the container requires from a model: a package with these members.

``MODEL_PACKAGE`` is its import name. Importing the package, ``Hyperparameters``, ``check`` and
``upload_files`` must work without torch: ``python -m jobs`` uses them on the user's machine. A small complete
package is ``examples/tfidf``.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # byoc.job imports torch
    from byoc.job import Job

Result = Mapping[str, Any]


class LoadedModel(Protocol):
    """A model that answers requests; ``predict`` is required, the rest is optional."""

    def predict(self, texts: Sequence[str]) -> Sequence[Result]:
        """One JSON object per text, in order. Keys that begin with ``_`` are for ``metrics`` only.

        ``"truncated": True`` marks a text that was used in part; ``SERVE_LONG_TEXTS`` can refuse it. A
        ``"warning"`` explains a value that is null or unreliable.
        """
        ...

    def metrics(self, results: Sequence[Result]) -> Mapping[str, float]:
        """Values of ``metric_names`` for the results of one request, for the request log. Default: none.

        A request in batch transform may have no result.
        """
        ...

    def explain(self, texts: Sequence[str]) -> Sequence[Any]:
        """One JSON value per text, for requests that ask for explanations. Default: status 400."""
        ...


class ModelPackage(Protocol):
    """A model package. Required: ``Hyperparameters``, ``train`` and ``load``; the rest has a default.

    Attributes:
        Hyperparameters: a frozen dataclass of ``byoc.hyperparameters`` fields. The container reads two
            optional fields: ``checkpoint_interval_minutes`` and ``processes_per_host``.
        distributed: whether ``train`` runs in one process per GPU on all hosts; default False.
        probe: a text that a worker predicts before it is healthy; default "A short text."
        text_fields: keys of a JSON object and columns of CSV that hold a text, besides ``inputs``; in lower
            case without spaces, "_" and "-", which are ignored in requests; default ``("text",)``.
        labels: values of a label column, in lower case, by which a CSV row of several columns is recognized;
            default none.
        csv_fields: keys of a CSV answer, in order; default: all keys.
        plain_field: the key of a ``text/plain`` answer; default None, which is status 406.
        metric_names: names that ``metrics`` of the loaded model returns; default none.
    """

    Hyperparameters: type[Any]
    distributed: bool
    probe: str
    text_fields: tuple[str, ...]
    labels: tuple[str, ...]
    csv_fields: tuple[str, ...]
    plain_field: str | None
    metric_names: tuple[str, ...]

    def train(self, job: "Job") -> None:
        """Train, and write the artifact with ``job.write_artifact``, also before a stop is obeyed."""
        ...

    def load(self, folder: Path, device: str, precision: str) -> LoadedModel:
        """The model in an artifact folder, on "cpu" or "cuda:N", in "fp32" or "auto" precision."""
        ...

    def check(self, path: Path, channel: str, hyperparameters: Any) -> str:
        """Read a file or folder as a job reads the channel, before an upload; returns a summary.

        Default: "".

        Raises:
            DataError: a file cannot be used.
        """
        ...

    def upload_files(self, path: Path, channel: str) -> Iterator[Path]:
        """The files of a folder, or the one file, that a job reads. Default: all that are not hidden."""
        ...

    def check_artifact(self, folder: Path) -> None:
        """Check the content of the files, without torch; the manifest covers damage only. Default: nothing.

        Raises:
            ArtifactError: a file contradicts another.
        """
        ...
