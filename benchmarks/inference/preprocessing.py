"""Speed of the tokenizer compared with BeautifulSoup, a regular expression and nltk.

Both sides process the same 25,000 reviews on one core and remove stop words.
"""

import csv
import re
import sys
import time
import warnings
from collections.abc import Callable, Collection

from bs4 import BeautifulSoup
from nltk import word_tokenize

from benchmarks.harness import REVIEWS, alternate, save
from sentiment.text.tokenizer import select_stop_words, tokenize


def plain_words(review: str, stop_words: Collection[str]) -> list[str]:
    """Words of a review by the libraries' defaults."""
    text = BeautifulSoup(review, "html.parser").get_text(separator=" ")
    text = re.sub(r"[^a-z0-9]+", " ", text.lower())
    return [word for word in word_tokenize(text, preserve_line=True) if word not in stop_words]


SIDES: dict[str, Callable[[str, Collection[str]], list[str]]] = {"shipped": tokenize, "plain": plain_words}


def measure(side: str) -> float:
    """Reviews per second of one side, in this process."""
    with REVIEWS.open(newline="", encoding="utf-8") as stream:
        texts = [row["text"] for row in csv.DictReader(stream)]
    split, removed = SIDES[side], select_stop_words("all")
    warnings.simplefilter("ignore")  # BeautifulSoup warns of texts that look like addresses
    start = time.perf_counter()
    for text in texts:
        split(text, removed)
    return len(texts) / (time.perf_counter() - start)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(measure(sys.argv[1]))
    else:
        save(
            "preprocessing",
            {"reviews": 25_000, **alternate("benchmarks.inference.preprocessing", ("shipped", "plain"))},
        )
