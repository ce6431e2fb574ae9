"""Fuzz the readers of files by structure-aware mutation: python -m tests.support.fuzz_files COUNT [SEED].

Each file is read twice: with the same result, or the same DataError, within seconds.
"""

import bz2
import contextlib
import gzip
import json
import random
import re
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from byoc.errors import DataError
from sentiment.data.channels import ChannelReader
from sentiment.hyperparameters import Hyperparameters
from tests.support.review_files import make_tar, make_zip

SECONDS = 10  # per reading, on a busy machine

TEXTS = [
    "fine",
    "dull, really",
    'He said "hi"',
    "two\nlines",
    "tab\tbed; <br />",
    "caf\u00e9 \U0001f600",
    "back\\slash",
]
LABELS = ["1", "0", "pos", "negative", "1.0", "true", "LABEL_0", "5", ""]
TOKENS = [
    b'"', b'""', b'\\"', b"\\", b",", b";", b"\t", b"|", b"\n", b"\r", b"\r\n", b"sep=;\n", b"\xef\xbb\xbf",
    b"\xff", b"\0", b"__label__", b"[", b"]", b"{", b"}", b":", b"text", b"label", b"review", b"1", b",,,\n",
    b"null", b"PAR1",
    b"\xe2\x80\xa8", b"../", b'"text"', b"NaN", b"\xc2\x85",
]  # fmt: skip


def _table(chance: random.Random) -> bytes:
    delimiter, end = chance.choice(",;\t|"), chance.choice(["\n", "\r\n", "\r"])
    quoting = chance.choice(["doubled", "escaped", "none"])
    rows = [] if chance.random() < 0.3 else [["text", "label"]]
    for _ in range(chance.choice([1, 3, 120])):
        row = [chance.choice(TEXTS), chance.choice(LABELS)]
        rows.append(row if rows and rows[0][0] == "text" else row[::-1])

    def cell(value: str) -> str:
        if quoting == "none":
            return re.sub(r"[\r\n\t,;|]", " ", value)
        return '"' + value.replace('"', '""' if quoting == "doubled" else '\\"') + '"'

    return end.join(delimiter.join(map(cell, row)) for row in rows).encode()


def _json(chance: random.Random) -> bytes:
    records = [
        {"text": chance.choice(TEXTS), "label": chance.choice([1, 0, True, 1.0, "pos", None])}
        for _ in range(5)
    ]
    if chance.random() < 0.5:
        return json.dumps(records, indent=chance.choice([None, 1])).encode()
    return "\n".join(map(json.dumps, records)).encode()


def _lines(chance: random.Random) -> bytes:
    texts = [text.replace("\n", " ").replace("\t", " ") for text in TEXTS]
    form = chance.choice(["__label__{1} {0}\n", "{0}\t{1}\n"])
    return "".join(form.format(text, chance.choice(LABELS[:4])) for text in texts).encode()


def _parquet(chance: random.Random) -> bytes:
    from tests.unit.sentiment.data.test_formats import make_parquet  # noqa: PLC0415 (imports pytest)

    return make_parquet(list(TEXTS), [chance.choice([0, 1]) for _ in TEXTS])


MAKERS = {
    "a.csv": _table, "a.tsv": _table, "train.csv": _table, "test_a.csv": _table, "a.x": _table,
    "a.jsonl": _json, "a.json": _json, "a.manifest": _json, "a.parquet": _parquet,
    "a.txt": _lines, "a.ft": _lines, "pos/a.txt": _lines,
}  # fmt: skip


def _mutate(content: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.choice([0, 1, 1, 2, 5])):
        i, j = sorted(chance.randrange(len(content) + 1) for _ in range(2))
        match chance.randrange(6):
            case 0:
                content = content[:i] + chance.choice(TOKENS) + content[i:]
            case 1:
                content = content[:i] + content[j:]
            case 2:
                content = content[:j] + content[i:]
            case 3:
                content = content[:i]
            case 4:
                old, new = chance.choice(TOKENS), chance.choice(TOKENS)
                content = content.replace(old, new, chance.choice([1, -1]))
            case 5:
                content = content[:i] + bytes([chance.randrange(256)]) + content[i + 1 :]
    return content


def make_file(seed: int) -> tuple[str, bytes]:
    """Name and content of a mutated file."""
    chance = random.Random(seed)
    name = chance.choice(list(MAKERS))
    content = _mutate(MAKERS[name](chance), chance)
    match chance.randrange(8):
        case 0:
            name, content = f"{name}.gz", gzip.compress(content, mtime=0)
        case 1:
            name, content = f"{name}.bz2", bz2.compress(content)
        case 2:
            name, content = "a.zip", make_zip({name: content, "__MACOSX/._a": b"\xff"})
        case 3:
            name, content = "a.tar.gz", make_tar({name: content, "b.csv": b"1,b\n"})
        case _:
            return name, content
    return name, _mutate(content, chance) if chance.random() < 0.5 else content


def read(folder: Path, channel: str) -> str:
    """The outcome of reading a folder: the number and hash of the reviews, or the error."""
    try:
        reader = ChannelReader(channel, folder, Hyperparameters(max_dropped_letters=1.0))
        reviews = [review for split in reader.splits for review in reader.read(split)]
        return f"read {len(reviews)} {hash(tuple(reviews))} {json.dumps(reader.reports)}"
    except DataError as error:
        return f"refused: {error}"


class Expired(BaseException):
    """Reading took more than ``SECONDS``."""


@contextlib.contextmanager
def time_limit() -> Iterator[None]:
    def expire(*_: object) -> None:
        raise Expired

    signal.signal(signal.SIGALRM, expire)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)


def fuzz(seeds: range) -> Counter[str]:
    """Read a file per seed; counts the outcomes.

    Raises:
        AssertionError: a file was read differently twice, or with another exception; names the seed.
    """
    outcomes: Counter[str] = Counter()
    for seed in seeds:
        name, content = make_file(seed)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
            channel = "unlabeled" if seed % 5 == 0 else "training"
            try:
                with time_limit():
                    first, second = (read(Path(folder), channel) for _ in range(2))
            except (Exception, Expired) as error:
                raise AssertionError(f"seed {seed}, {name}: {error!r}") from error
            assert first == second, f"seed {seed}, {name}: {first} and {second}"
            outcomes[first.split()[0]] += 1
    return outcomes


if __name__ == "__main__":
    start = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    print(dict(fuzz(range(start, start + int(sys.argv[1])))))
