"""Speed of the tokenizer compared with BeautifulSoup, a regular expression and nltk.

Both sides process the same 25,000 reviews on one core and remove stop words.
"""

import csv
import re
import time
import warnings
from collections.abc import Callable, Collection, Sequence
from functools import partial

from bs4 import BeautifulSoup
from nltk import word_tokenize

from benchmarks.harness import REVIEWS, alternate, save
from sentiment.text.tokenizer import select_stop_words, tokenize


def plain_words(review: str, stop_words: Collection[str]) -> list[str]:
    """Words of a review by the libraries' defaults."""
    text = BeautifulSoup(review, "html.parser").get_text(separator=" ")
    text = re.sub(r"[^a-z0-9]+", " ", text.lower())
    return [word for word in word_tokenize(text, preserve_line=True) if word not in stop_words]


def measure(split: Callable[[str, Collection[str]], list[str]], texts: Sequence[str]) -> float:
    """Reviews per second of a tokenizer."""
    removed = select_stop_words("all")
    start = time.perf_counter()
    for text in texts:
        split(text, removed)
    return len(texts) / (time.perf_counter() - start)


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # BeautifulSoup warns of texts that look like addresses
    with REVIEWS.open(newline="", encoding="utf-8") as stream:
        reviews = [row["text"] for row in csv.DictReader(stream)]
    sides = {"shipped": partial(measure, tokenize, reviews), "plain": partial(measure, plain_words, reviews)}
    save("preprocessing", {"reviews": len(reviews), **alternate(sides)})
