"""Every hyperparameter: its type, default, range and help; and how it is read from what SageMaker sends."""

import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import Field, asdict, dataclass, field, fields
from importlib.resources import files
from typing import Any, Self

from byoc.errors import HyperparameterError
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


def _number(default: float, low: float, high: float, text: str) -> Any:
    """A number; of the default's type, int or float."""
    return field(default=default, metadata={"low": low, "high": high, "help": text})


def _choice(default: str, choices: tuple[str, ...], text: str) -> Any:
    return field(default=default, metadata={"choices": choices, "help": text})


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """What a training job can be told. The defaults were chosen by validation accuracy."""

    preset: str = _choice("default", tuple(PRESETS), "what every hyperparameter is that is not given")
    epochs: int = _number(2, 1, 1_000, "passes over the training reviews, at most")
    hidden_dim: int = _number(128, 1, 4_096, "width of the LSTM's state")
    embedding_dim: int = _number(128, 1, 4_096, "width of a word's vector")
    vocab_size: int = _number(30_000, 3, 10_000_000, 'ids, "no word" and "infrequent word" included')
    max_length: int = _number(1_000, 1, 20_000, "words of a review that count")
    truncate: str = _choice("tail", TRUNCATE, "which words of a longer review count")
    stop_words: str = _choice("none", STOP_WORDS, "which stop words are left out")
    pooling: str = _choice("smoothed-mean", POOLING, "which LSTM outputs decide")
    embedding_init: str = _choice("word2vec", EMBEDDING_INIT, "what word vectors begin as")
    word2vec_epochs: int = _number(5, 1, 1_000, "passes of word2vec over the reviews")
    document_epochs: int = _number(15, 1, 1_000, "passes over the reviews to make vectors of documents")
    max_ngrams: int = _number(
        40_000, 0, 1_000_000, "word pairs and triples that each of five teachers may give an id"
    )
    ngram_init: str = _choice(
        "regression", NGRAM_INIT, "what the network begins with: a regression on words and phrases"
    )
    soft_label_weight: float = _number(
        0.0, 0.0, 1.0, "share of teachers' word in what is learned; above 0, of reviews without labels, too"
    )
    batch_size: int = _number(64, 1, 65_536, "reviews in one optimizer step")
    learning_rate: float = _number(1e-3, 1e-8, 10.0, "highest learning rate of the schedule")
    embedding_lr_scale: float = _number(0.05, 0.0, 10.0, "learning rate of word vectors, as a share of it")
    lr_schedule: str = _choice("linear", LR_SCHEDULE, "course of the learning rate")
    weight_decay: float = _number(0.0, 0.0, 10.0, "decoupled weight decay (AdamW), none of word vectors")
    max_grad_norm: float = _number(1.0, 1e-6, 1e6, "largest norm of a step's gradient")
    dropout: float = _number(0.5, 0.0, 0.95, "share of pooled LSTM outputs dropped in training")
    embedding_dropout: float = _number(0.3, 0.0, 0.95, "share of word vectors dropped in training")
    word_dropout: float = _number(0.1, 0.0, 0.95, "share of words made infrequent ones in training")
    ema_decay: float = _number(0.995, 0.0, 0.99999, "share of the average weights that a step leaves")
    validation_fraction: float = _number(
        0.1, 0.001, 0.9, "share held out when there is no validation channel"
    )
    patience: int = _number(2, 1, 1_000, "epochs without a better validation loss before stopping")
    precision: str = _choice("auto", PRECISION, "arithmetic of the network in training")
    checkpoint_interval_minutes: float = _number(10.0, 0.001, 1_440.0, "time from one checkpoint to the next")
    processes_per_host: int = _number(0, 0, 64, "training processes on each host; 0: one a GPU, or one")
    seed: int = _number(
        1, 0, 2**32 - 1, "of all that is random: split, weights, batches, dropout, word vectors"
    )

    @classmethod
    def parse(cls, *sources: Mapping[str, Any]) -> Self:
        """Hyperparameters from names and values as SageMaker, its SDK or a command line sends them.

        Strings may be JSON-encoded, once or twice; ``-`` in a name counts as ``_``. Names that belong
        to SageMaker (``sagemaker_*``, ``_tuning_objective_metric``) are passed over. Later sources
        override earlier ones, and all of them the preset.

        Raises:
            HyperparameterError: naming every unknown name, wrong type and value out of range.
        """
        parsed: dict[str, Any] = {}
        faults: list[str] = []
        for source in sources:
            parsed |= _parse_source(source, faults)
        if faults:
            raise HyperparameterError("\n".join(f"hyperparameter {fault}" for fault in faults))
        return cls(**differences(parsed.get("preset", "default")) | parsed)

    @property
    def has_head_start(self) -> bool:
        """Whether there is work before the first step that is worth keeping."""
        return self.embedding_init != "random" or self.has_teachers

    @property
    def has_teachers(self) -> bool:
        """Whether a regression on n-grams has a part in it."""
        return self.max_ngrams > 0 or self.soft_label_weight > 0 or self.ngram_init != "none"

    def that_decide(self) -> dict[str, Any]:
        """The values that decide which weights come out, by name."""
        others = ("preset", "checkpoint_interval_minutes", "processes_per_host")
        return {name: value for name, value in asdict(self).items() if name not in others}


def differences(preset: str) -> dict[str, Any]:
    """What a preset sets to something else than the default, by name."""
    if preset == "default":
        return {}
    values = tomllib.loads((files(__package__) / "presets" / f"{preset}.toml").read_text("utf-8"))
    known = {spec.name: spec for spec in fields(Hyperparameters)}
    return {name: _parse_value(known[name], value) for name, value in values.items()}


def _parse_source(source: Mapping[str, Any], faults: list[str]) -> dict[str, Any]:
    """The values of one source that are in order; what is not is added to ``faults``."""
    known = {spec.name: spec for spec in fields(Hyperparameters)}
    parsed: dict[str, Any] = {}
    for given, value in source.items():
        name = given.replace("-", "_")
        if _is_for_sagemaker(given):
            continue
        if name not in known:
            faults.append(f"{given}: there is no such hyperparameter; known: {', '.join(known)}")
        elif name in parsed:
            faults.append(f"{given}: given twice, with - and with _; give it once")
        else:
            try:
                parsed[name] = _parse_value(known[name], value)
            except (ValueError, OverflowError, RecursionError):  # of 400 digits, of 1,000 brackets
                faults.append(f"{given}: {value!r} is not {allowed(known[name])}")
    return parsed


def parse_command_line(arguments: Sequence[str]) -> dict[str, str]:
    """Names and values from ``--name value`` or ``--name=value``.

    Raises:
        HyperparameterError: an argument is neither.
    """
    values = {}
    rest = list(arguments)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if not name.startswith("--") or not (equals or rest):
            raise HyperparameterError(f"expected --name value on the command line, found {name!r}")
        values[name.removeprefix("--").replace("-", "_")] = value if equals else rest.pop(0)
    return values


def help_text() -> str:
    """One line for each hyperparameter: name, default, meaning and what is allowed; then the presets."""
    lines = [
        f"  --{spec.name:<20} {spec.default!s:<15} {spec.metadata['help']}; {allowed(spec)}"
        for spec in fields(Hyperparameters)
    ]
    for preset, purpose in PRESETS.items():
        lines += ["", f"preset {preset}: {purpose}"]
        lines += [f"  --{name:<20} {value}" for name, value in differences(preset).items()]
    return "\n".join(lines)


def allowed(spec: "Field[Any]") -> str:
    """What a hyperparameter accepts, in words."""
    if "choices" in spec.metadata:
        return f"one of {', '.join(spec.metadata['choices'])}"
    kind = "an integer" if spec.type is int else "a number"
    return f"{kind} from {spec.metadata['low']:g} to {spec.metadata['high']:.10g}"


def _is_for_sagemaker(name: str) -> bool:
    return name.startswith("sagemaker_") or name == "_tuning_objective_metric"


def _decode(value: Any) -> Any:
    """Undo JSON encoding: SageMaker sends strings only, and its SDK encodes those once more."""
    for _ in range(2):
        if not isinstance(value, str):
            break
        try:
            value = json.loads(value)
        except ValueError:
            break
    return value


def _parse_value(spec: "Field[Any]", value: Any) -> Any:
    """The value in its field's type.

    Raises:
        ValueError: it is not of the type, or not in the range.
    """
    value = _decode(value)
    if "choices" in spec.metadata:
        if value not in spec.metadata["choices"]:
            raise ValueError
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError
    if not spec.metadata["low"] <= value <= spec.metadata["high"]:
        raise ValueError
    if spec.type is int and value != int(value):
        raise ValueError
    return int(value) if spec.type is int else float(value)
