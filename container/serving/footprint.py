"""Memory that the workers of a model need, estimated from the files of its artifact."""

from pathlib import Path
from typing import NamedTuple

MIB = 2**20
# Private memory of a worker without its model, and of the parent that has imported the libraries; measured:
# benchmarks/results/serverless.json.
WORKER_BYTES = 120 * MIB
PARENT_BYTES = 150 * MIB
# JSON in a file, for example a vocabulary, becomes Python objects.
OBJECT_FACTOR = 10


class Footprint(NamedTuple):
    """Bytes that a worker needs, and bytes that it needs in addition while it loads the model."""

    worker: int
    loading: int

    @classmethod
    def of_artifact(cls, folder: Path) -> "Footprint":
        """The estimate for an artifact; tensors are read into one buffer and copied from there."""
        sizes = {path: path.stat().st_size for path in folder.glob("*") if path.is_file()}
        tensors = sum(size for path, size in sizes.items() if path.suffix == ".safetensors")
        return cls(WORKER_BYTES + tensors + OBJECT_FACTOR * (sum(sizes.values()) - tensors), tensors)

    def needed(self, workers: int, loading: int = 1) -> int:
        """Bytes for ``workers`` and their parent while ``loading`` of them load the model."""
        return PARENT_BYTES + workers * self.worker + loading * self.loading

    def fit(self, memory: int, workers: int) -> int:
        """The largest number of workers, at most ``workers``, that fit into ``memory`` bytes; 0 if none."""
        fitting = (memory - self.needed(0)) // self.worker
        # A single worker may fit although the estimate of the load is too high.
        return min(workers, max(int(fitting), int(self.needed(1, 0) <= memory)))
