"""What a request may hold, and what it may cost to read it."""

import contextlib
import json
import tracemalloc
from collections.abc import Callable

import pytest

from byoc.errors import MalformedBodyError
from byoc.serving.limits import Limits
from byoc.serving.payload import CSV, JSON, JSON_LINES, TEXT, decode, decode_records

FEW = Limits(texts=3, characters=4)
LISTS: dict[str, Callable[[list[str]], str]] = {
    JSON: json.dumps,
    JSON_LINES: lambda texts: "\n".join(map(json.dumps, texts)),
    CSV: lambda texts: "\n".join(f'"{text}"' for text in texts),
}
SIZE = 2**17


@pytest.mark.parametrize("content_type", LISTS)
def test_as_many_texts_as_allowed(content_type: str) -> None:
    assert decode(LISTS[content_type](["a", "b", "c"]).encode(), content_type, FEW) == ["a", "b", "c"]


@pytest.mark.parametrize("content_type", LISTS)
def test_more_texts_are_refused(content_type: str) -> None:
    with pytest.raises(MalformedBodyError, match="more than 3 texts"):
        decode(LISTS[content_type](["a"] * 4).encode(), content_type, FEW)


@pytest.mark.parametrize("content_type", LISTS)
def test_more_records_are_errors_in_their_place(content_type: str) -> None:
    records = decode_records(LISTS[content_type](["a"] * 5).encode(), content_type, FEW)
    assert [str(record) for record in records] == ["a"] * 3 + [
        "more than 3 texts; send them in several requests"
    ] * 2


@pytest.mark.parametrize("content_type", [*LISTS, TEXT])
def test_length_counts_in_characters(content_type: str) -> None:
    def body(text: str) -> bytes:
        return (text if content_type == TEXT else LISTS[content_type]([text])).encode()

    assert decode(body("\U0001f600" * 4), content_type, FEW) == ["\U0001f600" * 4]
    with pytest.raises(MalformedBodyError, match=": 5 characters, expected at most 4"):
        decode(body("abcde"), content_type, FEW)


def test_default_limits() -> None:
    assert Limits() == Limits(texts=10_000, characters=20_000)
    assert len(decode(json.dumps(["a"] * 10_000).encode(), JSON)) == 10_000
    assert len(decode(b"a" * 20_000, TEXT)[0]) == 20_000


@pytest.mark.parametrize(
    "item", ['{"text": "a"}', '{"text": "a", "id": 7, "stars": 5, "film": "b", "tags": ["c", "d"]}']
)
def test_objects_may_have_more_than_their_text(item: str) -> None:
    assert len(decode(f"[{','.join([item] * 10_000)}]".encode(), JSON)) == 10_000


@pytest.mark.parametrize(
    ("piece", "content_type"),
    [
        ("[],", JSON),
        ("{},", JSON),
        ('{"":0},', JSON),
        ('"",', JSON),
        ('"ab",', JSON),
        ('"\\u00e9",', JSON),
        ("1,", JSON),
        ("1", JSON),
        ("[", JSON),
        ('{"a":', JSON),
        ('"', JSON),
        ('\\"', JSON),
        ('"\\"', JSON),
        (",", JSON),
        ("\n", JSON_LINES),
        ('""\n', JSON_LINES),
        ("[],", JSON_LINES),
        ('"', JSON_LINES),
        ("\n", CSV),
        ("a\n", CSV),
        ('"', CSV),
        ('""\n', CSV),
        ('"a\n', CSV),
        ('"a\nb\n', CSV),
        ('a","c\n', CSV),
        (",", CSV),
    ],
)
@pytest.mark.parametrize("start", ["", '{"inputs":[', '"'])
def test_reading_costs_no_more_than_a_multiple_of_the_size(piece: str, content_type: str, start: str) -> None:
    """In memory, and in time too: were it quadratic, this test would not come to its end."""
    body = (start + piece * (SIZE // len(piece))).encode()
    tracemalloc.start()
    with contextlib.suppress(MalformedBodyError):
        decode_records(body, content_type, Limits(texts=100))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12 * SIZE
