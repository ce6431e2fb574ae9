"""The language model that pretrains embedding and LSTM, and its file.

Pretraining on reviews, labeled or not, is the strength of an LSTM: Dai and Le (NIPS 2015, table 2) reduce its
error on IMDb from 13.5 % to 7.6 %.
"""

import hashlib
import logging
import tarfile
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as deserialize
from safetensors.numpy import save as serialize
from torch import Tensor, nn
from torch.nn import functional

from byoc.artifact import MANIFEST, check_artifact, write_artifact
from byoc.errors import ArtifactError, DataError
from sentiment.model.artifact import SETTINGS_FILE, VOCABULARY_FILE, WEIGHTS_FILE, load_artifact
from sentiment.model.network import initialize
from sentiment.settings import NetworkSettings
from sentiment.text.sequences import Sequences
from sentiment.text.vocabulary import PAD_ID, UNK_ID, Vocabulary

logger = logging.getLogger(__name__)

END_ID = PAD_ID  # the end of a review; the language model has no padding
State = tuple[Tensor, Tensor]
T = TypeVar("T")

LANGUAGE_MODEL_FILE = "language_model.safetensors"
# SageMaker packs the model folder into this archive, and does not unpack it in a channel.
_ARCHIVE = "model.tar.gz"
_PACKAGE = __name__.partition(".")[0]
_FILES = {MANIFEST, SETTINGS_FILE, VOCABULARY_FILE, WEIGHTS_FILE, LANGUAGE_MODEL_FILE}
# Most logits at a time in evaluation: 1,000 steps of the default vocabulary, and several times 128 MB.
_EVALUATION_LOGITS = 2**25
# Names of the tensors that the classifier takes over.
_SHARED = ("embedding.", "lstm.")


class LanguageModel(nn.Module):
    """Predicts the next token from the tokens before it.

    The output shares the embedding's weights (Press and Wolf, EACL 2017) through a projection, which lets
    embedding and hidden size differ.

    Args:
        counts: [vocab_size] occurrences of each token. The output bias starts at the log frequencies:
            an optimizer with a bounded step would take thousands of steps to get there.
        embedding_dim: embedding size.
        hidden_dim: LSTM hidden size.
    """

    def __init__(self, counts: NDArray[np.int64], embedding_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(counts), embedding_dim)
        self.lstm = nn.LSTM(embedding_dim, hidden_dim)
        self.projection = nn.Linear(hidden_dim, embedding_dim)
        self.bias_embedding = nn.Embedding(len(counts), 1)
        initialize(self.embedding, self.lstm)
        frequencies = np.maximum(counts, 1) / counts.sum()
        with torch.no_grad():
            self.embedding.weight[END_ID].normal_(std=0.1)
            self.bias_embedding.weight.copy_(torch.from_numpy(np.log(frequencies))[:, None])

    def forward(
        self,
        inputs: Tensor,
        targets: Tensor,
        candidates: Tensor,
        log_inclusion: Tensor,
        state: State | None,
    ) -> tuple[Tensor, State]:
        """[] mean loss of a batch in nats, and the LSTM's state after it.

        The denominator of the softmax is estimated from a sample of the vocabulary, the candidates, each
        weighted by the inverse of its probability of being sampled: Bengio and Senécal, IEEE Transactions on
        Neural Networks 19 (2008). With all tokens as candidates, it is exact.

        Args:
            inputs: [time, batch] int64.
            targets: [time, batch] int64, the token after each input.
            candidates: [candidates] int64, distinct tokens.
            log_inclusion: [candidates] log probability of being a candidate.
            state: of the LSTM before the batch; None for zeros.
        """
        targets = targets.flatten()
        sizes = [len(targets), len(candidates)]
        # One look-up each, because its gradient is as large as the embedding; the gradients of a split are
        # concatenated, those of slices would be padded with zeros and added.
        vectors = self.embedding(torch.cat([inputs.flatten(), targets, candidates]))
        input_vectors, target_vectors, candidate_vectors = vectors.split([len(targets), *sizes])
        bias = self.bias_embedding(torch.cat([targets, candidates])).squeeze(1)
        target_bias, candidate_bias = bias.split(sizes)
        outputs, state = self.lstm(input_vectors.unflatten(0, inputs.shape), state)
        hidden = self.projection(outputs.flatten(0, 1))
        target_logits = (hidden * target_vectors).sum(1, dtype=torch.float32) + target_bias
        logits = (hidden @ candidate_vectors.T).float() + (candidate_bias - log_inclusion)
        logits = torch.cat([target_logits[:, None], logits], 1)
        # The target counts exactly, and so not as a candidate.
        column = torch.full((len(self.bias_embedding.weight),), -1, device=targets.device)
        column[candidates] = torch.arange(1, len(candidates) + 1, device=targets.device)
        rows = (column[targets] > 0).nonzero().squeeze(1)
        logits[rows, column[targets[rows]]] = -torch.inf
        loss = functional.cross_entropy(logits, torch.zeros_like(targets))
        return loss, (state[0].detach(), state[1].detach())

    @torch.inference_mode()
    def perplexity(self, sequences: Sequences, dtype: torch.dtype | None) -> float:
        """Exponential of the mean loss per token, ends included, with the full softmax.

        There must be a review; each starts from a zero state. ``dtype`` is that of the arithmetic, None for
        float32.
        """
        device = self.embedding.weight.device
        everything = torch.arange(len(self.embedding.weight), device=device)
        steps = max(1, _EVALUATION_LOGITS // len(everything))
        log_inclusion = torch.zeros(len(everything), device=device)
        total, count = 0.0, 0
        with torch.autocast(device.type, dtype, enabled=dtype is not None):
            for i in range(len(sequences)):
                ids = torch.from_numpy(np.pad(sequences[i].astype(np.int64), 1, constant_values=END_ID))
                ids, state = ids.to(device)[:, None], None
                for start in range(0, len(ids) - 1, steps):
                    targets = ids[1:][start : start + steps]
                    inputs = ids[start : start + len(targets)]
                    loss, state = self(inputs, targets, everything, log_inclusion, state)
                    total, count = total + float(loss) * len(targets), count + len(targets)
        with np.errstate(over="ignore"):
            return float(np.exp(total / count))


class PretrainedWeights(NamedTuple):
    """Weights that a classifier starts from, and their vocabulary."""

    vocabulary: Vocabulary
    weights: dict[str, NDArray[np.float32]]  # the tensors of embedding and LSTM, by name

    @classmethod
    def of(cls, vocabulary: Vocabulary, model: nn.Module) -> "PretrainedWeights":
        """The weights of a language model."""
        tensors = _select_shared(model.state_dict())
        return cls(vocabulary, {name: tensor.cpu().numpy() for name, tensor in tensors.items()})

    def save(self, folder: Path) -> None:
        """Replace the model in a folder.

        Raises:
            ArtifactError: a file of the same name is not this program's.
            OSError: the folder is not writable.
        """
        write_artifact(folder, _PACKAGE, self._write)

    def _write(self, folder: Path) -> None:
        self.vocabulary.save(folder / VOCABULARY_FILE)
        (folder / LANGUAGE_MODEL_FILE).write_bytes(serialize(self.weights))

    def fingerprint(self) -> str:
        """Size and hash of the content."""
        digest = hashlib.sha256("\n".join(self.vocabulary.words).encode())
        for name in sorted(self.weights):
            digest.update(self.weights[name].tobytes())
        return f"of {len(self.vocabulary)} ids, SHA-256 {digest.hexdigest()[:16]}"

    def align(self, vocabulary: Vocabulary) -> dict[str, Tensor]:
        """The tensors for another vocabulary; a new word gets the embedding of the unknown token."""
        rows = [PAD_ID, UNK_ID, *self.vocabulary.ids(vocabulary.words)]
        embedding = self.weights["embedding.weight"][rows]
        embedding[PAD_ID] = 0.0
        arrays = self.weights | {"embedding.weight": embedding}
        return {name: torch.tensor(array) for name, array in arrays.items()}


def load_pretrained(folder: Path, embedding_dim: int, hidden_dim: int) -> PretrainedWeights:
    """Load a language model, or a trained model, from the files of a job or SageMaker's archive of them.

    Raises:
        ArtifactError: a file is missing or damaged.
        DataError: the language model has another shape.
    """
    archive = folder / _ARCHIVE
    if archive.is_file():
        with tempfile.TemporaryDirectory() as temporary:
            _unpack(archive, Path(temporary))
            pretrained = _read(Path(temporary), archive)
    else:
        pretrained = _read(folder, folder)
    gates, embedding = pretrained.weights["lstm.weight_ih_l0"].shape
    if (embedding, gates // 4) != (embedding_dim, hidden_dim):
        raise DataError(
            f"the language model has embedding_dim={embedding} and hidden_dim={gates // 4}, expected "
            f"{embedding_dim} and {hidden_dim}\nset both, or provide another language model"
        )
    logger.info("pretrained: language model of %d words", len(pretrained.vocabulary.words))
    return pretrained


def _unpack(archive: Path, folder: Path) -> None:
    """Extract the expected files only."""
    contents = {}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                if name in _FILES and member.isfile() and (stream := tar.extractfile(member)):
                    contents[name] = stream.read()
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise ArtifactError(f"{archive}: the archive is damaged or truncated ({error})") from error
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def _read(folder: Path, origin: Path) -> PretrainedWeights:
    if not (folder / MANIFEST).is_file():
        raise ArtifactError(
            f"{origin} has neither a language model nor a trained model; expected the model folder of a "
            f"training job, or its {_ARCHIVE}"
        )
    check_artifact(folder, _PACKAGE)
    if not (folder / LANGUAGE_MODEL_FILE).is_file():
        artifact = load_artifact(folder)
        return PretrainedWeights(artifact.vocabulary, _select_shared(artifact.weights))
    vocabulary = Vocabulary.load(folder / VOCABULARY_FILE)
    try:
        tensors = deserialize((folder / LANGUAGE_MODEL_FILE).read_bytes())
        embedding_dim = tensors["embedding.weight"].shape[1]
        hidden_dim = tensors["lstm.weight_hh_l0"].shape[1]
        shapes = NetworkSettings(len(vocabulary), embedding_dim, hidden_dim, "last").tensor_shapes()
    except (SafetensorError, KeyError, IndexError, ValueError) as error:
        raise ArtifactError(f"{origin}: {LANGUAGE_MODEL_FILE} is damaged ({error})") from error
    expected = _select_shared(shapes)
    if {name: array.shape for name, array in tensors.items()} != expected:
        raise ArtifactError(f"{origin}: {LANGUAGE_MODEL_FILE} is damaged (expected the tensors {expected})")
    if not all(np.isfinite(array).all() for array in tensors.values()):
        raise ArtifactError(f"{origin}: {LANGUAGE_MODEL_FILE} contains values that are not finite")
    return PretrainedWeights(vocabulary, tensors)


def _select_shared(tensors: Mapping[str, T]) -> dict[str, T]:
    """The tensors that classifier and language model share."""
    return {name: value for name, value in tensors.items() if name.startswith(_SHARED)}
