"""The hyperparameters and their presets."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib.resources import files
from typing import Any, Self

from byoc.hyperparameters import choice, number, parse_value, text
from sentiment.settings import POOLING, STOP_WORDS, TOKENIZERS, TRUNCATE

PRECISION = ("auto", "fp32", "fp16", "bf16")
# Delimiter, and quotes inside a quoted text: doubled, escaped by a backslash, or quotes that quote nothing.
CSV_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
CSV_QUOTING = ("doubled", "escaped", "unquoted")
CSV_DIALECTS = tuple(f"{delimiter}-{quoting}" for delimiter in CSV_DELIMITERS for quoting in CSV_QUOTING)

# Purpose of each preset. "default" holds the defaults; presets/*.toml hold the differences from them.
PRESETS = {
    "default": "highest accuracy from labeled reviews alone",
    "baseline": "the LSTM of a tutorial: no stop words, 5,000 words, last hidden state; 2 minutes on 2 cores",
    "best": "highest accuracy, with a channel unlabeled",
}

_VALIDATION_HELP = "fraction of the training reviews held out when there is no validation channel"


_SPLIT_HELP = "auto: names of files in the training channel (test.csv) decide about their split"
_DROPPED_HELP = "share of letters that tokenizer=ascii may drop before the job is refused"
_LABEL_MAP = 'a JSON object of 0, 1 and null, for example {"4": 1, "0": 0, "2": null}'
_COLUMN = "a name, or a number from 1 for files without a header"
_DIALECT_HELP = "delimiter and quotes of CSV files; auto detects them"


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; ValueError if it repeats a key."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError
    return dict(pairs)


def _parse_label_map(value: str) -> str:
    """The JSON object in canonical form, or an empty string.

    Raises:
        ValueError: it is no object of 0, 1 and null, or repeats a key.
    """
    content = json.loads(value or "null", object_pairs_hook=_unique_keys)
    if content is None:
        return ""
    if not isinstance(content, dict) or not all(
        meaning is None or (type(meaning) is int and meaning in (0, 1)) for meaning in content.values()
    ):
        raise ValueError
    return json.dumps(content, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """Hyperparameters of a training job. The defaults were chosen by validation accuracy."""

    preset: str = choice(
        "default", tuple(PRESETS), "preset that supplies every hyperparameter you do not set"
    )
    text_column: str = text("", str, _COLUMN, "column of the reviews; by default found by its name")
    label_column: str = text("", str, _COLUMN, "column of the labels; by default found by its name")
    label_map: str = text("", _parse_label_map, _LABEL_MAP, "meaning of labels; null leaves a row out")
    csv_dialect: str = choice("auto", ("auto", *CSV_DIALECTS), _DIALECT_HELP)
    split: str = choice("auto", ("auto", "ignore"), _SPLIT_HELP)
    tokenizer: str = choice("ascii", TOKENIZERS, "characters of words: a to z and digits, or every script")
    max_dropped_letters: float = number(0.005, 0, 1, _DROPPED_HELP)
    epochs: int = number(3, 1, 1_000, "maximum passes over the training reviews")
    pretraining_epochs: int = number(
        2, 0, 1_000, "passes of language-model pretraining over all reviews; 0 skips it"
    )
    hidden_dim: int = number(128, 1, 4_096, "LSTM hidden size")
    embedding_dim: int = number(128, 1, 4_096, "word-embedding size")
    vocab_size: int = number(30_000, 3, 10**7, "maximum vocabulary size, padding and unknown ids included")
    max_length: int = number(1_000, 1, 20_000, "words kept per review; longer reviews are truncated")
    truncate: str = choice("tail", TRUNCATE, "part of a long review to keep")
    stop_words: str = choice("none", STOP_WORDS, "stop words to remove")
    pooling: str = choice("mean-max", POOLING, "how LSTM outputs are pooled over time")
    ngram_weight: int = number(1, 0, 1, "1 adds an n-gram model to the LSTM; 0 trains the LSTM alone")
    max_ngrams: int = number(1_000_000, 1, 10**8, "maximum n-grams of the n-gram model")
    batch_size: int = number(64, 1, 65_536, "reviews per optimizer step, summed over processes")
    pretraining_batch_size: int = number(64, 1, 65_536, "streams of text that pretraining reads in parallel")
    learning_rate: float = number(2e-3, 1e-8, 10, "peak learning rate")
    pretraining_learning_rate: float = number(8e-3, 1e-8, 10, "peak learning rate of pretraining")
    embedding_lr_scale: float = number(0.5, 0, 10, "learning-rate multiplier for embeddings; 0 freezes them")
    lr_schedule: str = choice(
        "linear", ("linear", "constant"), "learning-rate schedule; linear warms up, then decays to 0"
    )
    weight_decay: float = number(0.01, 0, 10, "AdamW weight decay; not applied to embeddings")
    max_grad_norm: float = number(1.0, 1e-6, 1e6, "gradient-norm clipping threshold")
    dropout: float = number(0.5, 0, 0.95, "dropout on the pooled LSTM output")
    embedding_dropout: float = number(0.3, 0, 0.95, "dropout on embedding dimensions, one mask per review")
    word_dropout: float = number(0.1, 0, 0.95, "probability of replacing a word by the unknown token")
    ema_decay: float = number(0.995, 0, 0.99999, "decay of the moving average of the weights; 0 disables it")
    validation_fraction: float = number(0.1, 0.001, 0.9, _VALIDATION_HELP)
    patience: int = number(2, 1, 1_000, "early stopping: epochs without a lower validation loss")
    precision: str = choice("auto", PRECISION, "arithmetic of the network; auto is the fastest supported")
    checkpoint_interval_minutes: float = number(10.0, 0.001, 1_440, "minutes between checkpoints")
    processes_per_host: int = number(
        0, 0, 64, "training processes per host; 0 for one per GPU, or one on CPUs"
    )
    seed: int = number(1, 0, 2**32 - 1, "random seed of the split, embeddings, weights, batches and dropout")

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

    def fingerprint_fields(self) -> dict[str, Any]:
        """The values that influence the trained weights."""
        irrelevant = ("preset", "checkpoint_interval_minutes", "processes_per_host")
        return {name: value for name, value in asdict(self).items() if name not in irrelevant}


def differences(preset: str) -> dict[str, Any]:
    """The values of a preset that differ from the defaults, by name."""
    if preset == "default":
        return {}
    values = tomllib.loads((files(__package__) / "presets" / f"{preset}.toml").read_text("utf-8"))
    known = {spec.name: spec for spec in fields(Hyperparameters)}
    return {name: parse_value(known[name], value) for name, value in values.items()}
