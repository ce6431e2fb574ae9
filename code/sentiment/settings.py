"""Settings shared by training and serving and stored in the artifact: preprocessing and network shape."""

from dataclasses import dataclass

STOP_WORDS = ("all", "keep-negations", "none")
TOKENIZERS = ("ascii", "unicode")
TRUNCATE = ("head", "tail", "head-tail")
# Names of the column or key of the text, in training and in requests.
TEXT_NAMES = (
    "text", "review", "sentence", "content", "comment", "tweet", "phrase", "reviewtext", "reviewbody",
)  # fmt: skip
POOLING = ("last", "mean", "max", "mean-max")
# Tokens of value zero that a mean over a review includes: they shrink the mean, and so the confidence, of
# short reviews.
PSEUDO_COUNT = 100


@dataclass(frozen=True, slots=True)
class TextSettings:
    """Preprocessing."""

    stop_words: list[str]  # words to remove
    max_length: int  # words kept per review
    truncate: str  # part of a longer review to keep, one of ``TRUNCATE``
    tokenizer: str = "ascii"  # one of ``TOKENIZERS``

    def __post_init__(self) -> None:
        """Raise ValueError for an invalid value, which may come from a file."""
        if not isinstance(self.stop_words, list) or not all(
            isinstance(word, str) for word in self.stop_words
        ):
            raise ValueError("stop_words must be a list of words")
        _check_positive(max_length=self.max_length)
        _check_choice("truncate", self.truncate, TRUNCATE)
        _check_choice("tokenizer", self.tokenizer, TOKENIZERS)


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """Shape of the network."""

    vocab_size: int  # number of token ids
    embedding_dim: int  # embedding size
    hidden_dim: int  # LSTM hidden size
    pooling: str  # how LSTM outputs are pooled over time, one of ``POOLING``

    def __post_init__(self) -> None:
        """Raise ValueError for an invalid value, which may come from a file."""
        _check_positive(
            vocab_size=self.vocab_size, embedding_dim=self.embedding_dim, hidden_dim=self.hidden_dim
        )
        _check_choice("pooling", self.pooling, POOLING)

    @property
    def pooled_dim(self) -> int:
        """Size of the pooled LSTM output."""
        return self.hidden_dim * len(self.pooling.split("-"))

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the network's tensors by name: part of the artifact's format."""
        gates = 4 * self.hidden_dim
        return {
            "embedding.weight": (self.vocab_size, self.embedding_dim),
            "lstm.weight_ih_l0": (gates, self.embedding_dim),
            "lstm.weight_hh_l0": (gates, self.hidden_dim),
            "lstm.bias_ih_l0": (gates,),
            "lstm.bias_hh_l0": (gates,),
            "linear.weight": (1, self.pooled_dim),
            "linear.bias": (1,),
        }


def _check_positive(**values: object) -> None:
    for name, value in values.items():
        if type(value) is not int or value < 1:
            raise ValueError(f"{name} is {value!r}, expected a positive integer")


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}, expected one of {', '.join(choices)}")
