"""Everything a training job reads: vocabulary, training, unlabeled and held-out examples."""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byoc.distributed.process_group import ProcessGroup
from byoc.errors import ArtifactError, DataError
from byoc.job import Job
from sentiment.data import corpus
from sentiment.data.channels import PRETRAINED_CHANNEL, UNLABELED_CHANNEL, JobReader, Source, training_channel
from sentiment.data.corpus import Corpus, ProvisionalVocabulary, Shard
from sentiment.data.exchange import gather_examples, gather_sources
from sentiment.data.split import read_and_split
from sentiment.hyperparameters import Hyperparameters
from sentiment.model.pretrained import PretrainedWeights, load_pretrained
from sentiment.settings import TextSettings
from sentiment.text.sequences import Examples, Sequences
from sentiment.text.tokenizer import select_stop_words, tokenize
from sentiment.text.vocabulary import Vocabulary

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Datasets:
    """The data of a training job."""

    text: TextSettings
    vocabulary: Vocabulary  # of the training and unlabeled reviews
    training: Examples
    unlabeled: Examples  # reviews without labels, none of a held-out group; may be empty
    held_out: dict[str, Examples]  # ``validation`` always, ``test`` if there is a channel of this name
    sources: dict[str, list[Source]]  # [reviews] origin of each held-out set
    files: list[dict[str, Any]]  # how each file was read, JSON-serializable
    pretrained: PretrainedWeights | None = None  # of the channel ``pretrained``, if any

    def fingerprint(self) -> dict[str, str]:
        """Size and hash of all content that affects the trained weights, by name."""
        words = hashlib.sha256("\n".join(self.vocabulary.words).encode())
        fingerprints = {
            "training data": fingerprint(*self.training[:2]),
            "unlabeled data": fingerprint(*self.unlabeled[:2]),
            "validation data": fingerprint(*self.held_out["validation"][:2]),
            "vocabulary": f"of {len(self.vocabulary)} ids, SHA-256 {words.hexdigest()[:16]}",
        }
        if self.pretrained is not None:
            fingerprints["language model"] = self.pretrained.fingerprint()
        return fingerprints


def fingerprint(sequences: Sequences, labels: NDArray[np.int8] | None = None) -> str:
    """Number of reviews and hash of their content."""
    digest = hashlib.sha256()
    for array in (sequences.ids, sequences.offsets, labels):
        if array is not None:
            digest.update(array.tobytes())
    return f"of {len(sequences)} reviews, SHA-256 {digest.hexdigest()[:16]}"


def load(job: Job) -> Datasets:
    """Read all channels of a job: each process a shard, gathered as token ids by all processes.

    Raises:
        DataError: a channel is missing, empty, too small or of one class; or a file or line is invalid.
        Stopped: any process received a stop signal.
    """
    process_group, stop = job.process_group, job.stop
    name = training_channel(job.channels)
    pretrained = _load_pretrained(job)
    reader = process_group.run_interruptible(stop, lambda: _Reader(job))
    splits = {split for split in ("validation", "test") if process_group.any(split in reader.reviews)}
    training, unlabeled, held_out = process_group.run_interruptible(stop, lambda: reader.read_all(splits))
    if "validation" not in splits:
        texts = process_group.concatenate(training.texts)
        held_out["validation"] = held_out["validation"].drop_texts(texts)
    unlabeled = _drop_held_out(unlabeled, held_out.values(), process_group)
    vocabulary = reader.make_vocabulary([training, unlabeled])
    examples = {split: reader.gather(split, shard, vocabulary) for split, shard in held_out.items()}
    data = Datasets(
        reader.text,
        vocabulary,
        reader.gather("training", training, vocabulary),
        reader.gather(UNLABELED_CHANNEL, unlabeled, vocabulary),
        examples,
        {split: gather_sources(shard, process_group) for split, shard in held_out.items()},
        _gather_reports(reader.reviews.reports, process_group),
        pretrained,
    )
    _check(name, data, job.hyperparameters)
    return data


def load_unlabeled(job: Job) -> tuple[Vocabulary, Sequences]:
    """Read the channel ``unlabeled`` alone, with a vocabulary of its words; see ``load``."""
    reader = _Reader(job)
    unlabeled = job.process_group.run_interruptible(job.stop, lambda: reader.read(UNLABELED_CHANNEL))
    vocabulary = reader.make_vocabulary([unlabeled])
    return vocabulary, reader.gather(UNLABELED_CHANNEL, unlabeled, vocabulary).sequences


def _gather_reports(reports: list[dict[str, Any]], process_group: ProcessGroup) -> list[dict[str, Any]]:
    contents = process_group.gather_bytes(json.dumps(reports).encode())
    files = [report for content in contents for report in json.loads(content)]
    return list({(report["split"], report["file"]): report for report in files}.values())


def _load_pretrained(job: Job) -> PretrainedWeights | None:
    if PRETRAINED_CHANNEL not in job.channels:
        return None
    folder, hyperparameters = job.channels[PRETRAINED_CHANNEL], job.hyperparameters
    try:
        return load_pretrained(folder, hyperparameters.embedding_dim, hyperparameters.hidden_dim)
    except (ArtifactError, DataError) as error:
        raise DataError(f"channel {PRETRAINED_CHANNEL}: {error}") from error


class _Reader:
    """Reads this process's shards of the channels, with one provisional vocabulary."""

    def __init__(self, job: Job) -> None:
        hyperparameters: Hyperparameters = job.hyperparameters
        stop_words = select_stop_words(hyperparameters.stop_words)
        self.text = TextSettings(
            sorted(stop_words),
            hyperparameters.max_length,
            hyperparameters.truncate,
            hyperparameters.tokenizer,
        )
        self.reviews = JobReader(job.channels, hyperparameters, job.opt_ml.sharded_channels())
        self._hyperparameters = hyperparameters
        self._process_group = job.process_group
        words = partial(tokenize, stop_words=stop_words, tokenizer=hyperparameters.tokenizer)
        self._provisional = ProvisionalVocabulary(words)

    def _shard(self, split: str) -> Shard:
        group = self._process_group
        if not self.reviews.is_sharded(split):
            return Shard(group.rank, group.size)
        # No host has 2**40 reviews, so positions of different hosts never collide.
        return Shard(group.local_rank, group.local_size, group.host << 40)

    def read(self, split: str, keep_sources: bool = False) -> Corpus:
        """Read a split; an absent one is empty."""
        reviews, shard = self.reviews.read(split), self._shard(split)
        return corpus.read(reviews, self._provisional, shard, keep_sources)

    def read_all(self, splits: Set[str]) -> tuple[Corpus, Corpus, dict[str, Corpus]]:
        """Read the training, the unlabeled and the held-out reviews."""
        if "validation" in splits:
            train, validation = self.read("training"), self.read("validation", keep_sources=True)
        else:
            fraction, seed = self._hyperparameters.validation_fraction, self._hyperparameters.seed
            reviews, shard = self.reviews.read("training"), self._shard("training")
            train, validation = read_and_split(reviews, self._provisional, shard, fraction, seed)
        held_out = {"validation": validation}
        if "test" in splits:
            held_out["test"] = self.read("test", keep_sources=True)
        return train, self.read(UNLABELED_CHANNEL), held_out

    def make_vocabulary(self, shards: Sequence[Corpus]) -> Vocabulary:
        """Select the most frequent words of all processes' shards."""
        shard_counts = json.dumps(self._provisional.count(*shards)).encode()
        counts: Counter[str] = Counter()
        for content in self._process_group.gather_bytes(shard_counts):
            counts.update(json.loads(content))
        vocabulary = Vocabulary.from_counts(counts, self._hyperparameters.vocab_size)
        logger.info("vocabulary: kept %d of %d distinct words", len(vocabulary.words), len(counts))
        return vocabulary

    def gather(self, name: str, shard: Corpus, vocabulary: Vocabulary) -> Examples:
        """Encode a shard and gather the shards of all processes."""
        text = self.text
        sequences = corpus.encode(shard, self._provisional, vocabulary, text.max_length, text.truncate)
        return gather_examples(name, shard, sequences, self._process_group)


def _drop_held_out(unlabeled: Corpus, held_out: Iterable[Corpus], process_group: ProcessGroup) -> Corpus:
    """Drop unlabeled reviews with a held-out text or of a held-out group."""
    for shard in held_out:
        if shard.has_group_ids and not unlabeled.has_group_ids and len(unlabeled):
            logger.warning("channel unlabeled has no movie ids (urls_unsup.txt) and may hold held-out movies")
        unlabeled = unlabeled.drop_texts(process_group.concatenate(shard.texts))
        unlabeled = unlabeled.drop_groups(process_group.concatenate(shard.groups))
    return unlabeled


def _check(channel: str, data: Datasets, hyperparameters: Hyperparameters) -> None:
    count = len(data.training.labels)
    if count < hyperparameters.batch_size:
        raise DataError(
            f"channel {channel}: {count} training reviews, fewer than one batch of "
            f"{hyperparameters.batch_size}; provide more reviews or reduce batch_size"
        )
    if not len(data.training.sequences.ids):
        raise DataError(f"channel {channel}: the reviews contain no words; expected texts")
    classes = np.unique(data.training.labels)
    if len(classes) < 2:
        label = "positive" if classes[0] else "negative"
        raise DataError(f"channel {channel}: all reviews are {label}; expected both classes")
    if len(data.held_out["validation"].labels) == 0:
        raise DataError(
            f"channel {channel}: no review was held out for validation; provide more reviews, a larger "
            "validation_fraction, or a validation channel"
        )
    if "test" in data.held_out and len(data.held_out["test"].labels) == 0:
        raise DataError("channel test: no labeled reviews on any host; provide some or remove the channel")
