"""What a request may hold: apart from the code that reads it, which takes a second to import."""

from dataclasses import dataclass

# Of a review; what is behind them counts neither in training nor for a prediction. html.parser needs time
# quadratic in the length of hostile input. IMDb's longest review has 13,704 characters.
MAX_CHARACTERS = 20_000


@dataclass(frozen=True)
class Limits:
    """What a request may hold.

    Attributes:
        texts: number of texts.
        characters: length of each.
    """

    texts: int = 10_000
    characters: int = MAX_CHARACTERS
