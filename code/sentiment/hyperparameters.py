"""Every hyperparameter: its type, default, range and help; and how it is read from what SageMaker sends."""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib.resources import files
from typing import Any, Self

from byoc.hyperparameters import choice, number, parse_value
from sentiment.settings import POOLING, STOP_WORDS, TRUNCATE

PRECISION = ("auto", "fp32", "fp16", "bf16")
LR_SCHEDULE = ("linear", "constant")
EMBEDDING_INIT = ("random", "word2vec", "documents")
NGRAM_INIT = ("none", "regression")

# Purpose of each preset. "default" holds the defaults; presets/*.toml hold the differences from them.
PRESETS = {
    "default": "the most accurate that ten minutes on two cores give, from labelled reviews alone",
    "baseline": "the plain system, to the letter: stop words removed, 5,000 words, the state after the last",
    "best": "the most accurate there is, in half an hour on two cores; give it a channel unlabeled",
}


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """What a training job can be told. The defaults were chosen by validation accuracy."""

    preset: str = choice("default", tuple(PRESETS), "what every hyperparameter is that is not given")
    epochs: int = number(2, 1, 1_000, "passes over the training reviews, at most")
    hidden_dim: int = number(128, 1, 4_096, "width of the LSTM's state")
    embedding_dim: int = number(128, 1, 4_096, "width of a word's vector")
    vocab_size: int = number(30_000, 3, 10_000_000, 'ids, "no word" and "infrequent word" included')
    max_length: int = number(1_000, 1, 20_000, "words of a review that count")
    truncate: str = choice("tail", TRUNCATE, "which words of a longer review count")
    stop_words: str = choice("none", STOP_WORDS, "which stop words are left out")
    pooling: str = choice("smoothed-mean", POOLING, "which LSTM outputs decide")
    embedding_init: str = choice("word2vec", EMBEDDING_INIT, "what word vectors begin as")
    word2vec_epochs: int = number(5, 1, 1_000, "passes of word2vec over the reviews")
    document_epochs: int = number(15, 1, 1_000, "passes over the reviews to make vectors of documents")
    max_ngrams: int = number(
        40_000, 0, 1_000_000, "word pairs and triples that each of five teachers may give an id"
    )
    ngram_init: str = choice(
        "regression", NGRAM_INIT, "what the network begins with: a regression on words and phrases"
    )
    soft_label_weight: float = number(
        0.0, 0.0, 1.0, "share of teachers' word in what is learned; above 0, of reviews without labels, too"
    )
    batch_size: int = number(64, 1, 65_536, "reviews in one optimizer step")
    learning_rate: float = number(1e-3, 1e-8, 10.0, "highest learning rate of the schedule")
    embedding_lr_scale: float = number(0.05, 0.0, 10.0, "learning rate of word vectors, as a share of it")
    lr_schedule: str = choice("linear", LR_SCHEDULE, "course of the learning rate")
    weight_decay: float = number(0.0, 0.0, 10.0, "decoupled weight decay (AdamW), none of word vectors")
    max_grad_norm: float = number(1.0, 1e-6, 1e6, "largest norm of a step's gradient")
    dropout: float = number(0.5, 0.0, 0.95, "share of pooled LSTM outputs dropped in training")
    embedding_dropout: float = number(0.3, 0.0, 0.95, "share of word vectors dropped in training")
    word_dropout: float = number(0.1, 0.0, 0.95, "share of words made infrequent ones in training")
    ema_decay: float = number(0.995, 0.0, 0.99999, "share of the average weights that a step leaves")
    validation_fraction: float = number(0.1, 0.001, 0.9, "share held out when there is no validation channel")
    patience: int = number(2, 1, 1_000, "epochs without a better validation loss before stopping")
    precision: str = choice("auto", PRECISION, "arithmetic of the network in training")
    checkpoint_interval_minutes: float = number(10.0, 0.001, 1_440.0, "time from one checkpoint to the next")
    processes_per_host: int = number(0, 0, 64, "training processes on each host; 0: one a GPU, or one")
    seed: int = number(
        1, 0, 2**32 - 1, "of all that is random: split, weights, batches, dropout, word vectors"
    )

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Self:
        """Hyperparameters with these values; the preset supplies the rest."""
        return cls(**differences(values.get("preset", "default")) | dict(values))

    @staticmethod
    def extra_help() -> str:
        """One paragraph per preset."""
        lines: list[str] = []
        for preset, purpose in PRESETS.items():
            lines += ["", f"preset {preset}: {purpose}"]
            lines += [f"  --{name:<28} {value}" for name, value in differences(preset).items()]
        return "\n".join(lines)

    @property
    def has_warm_start(self) -> bool:
        """Whether the work before the first step is worth a checkpoint."""
        return self.embedding_init != "random" or self.has_ngram_model

    @property
    def has_ngram_model(self) -> bool:
        """Whether the job fits an n-gram model."""
        return self.max_ngrams > 0 or self.soft_label_weight > 0 or self.ngram_init != "none"

    def fingerprint_fields(self) -> dict[str, Any]:
        """The values that influence the trained weights."""
        irrelevant = ("preset", "checkpoint_interval_minutes", "processes_per_host")
        return {name: value for name, value in asdict(self).items() if name not in irrelevant}


def differences(preset: str) -> dict[str, Any]:
    """What a preset sets to something else than the default, by name."""
    if preset == "default":
        return {}
    values = tomllib.loads((files(__package__) / "presets" / f"{preset}.toml").read_text("utf-8"))
    known = {spec.name: spec for spec in fields(Hyperparameters)}
    return {name: parse_value(known[name], value) for name, value in values.items()}
