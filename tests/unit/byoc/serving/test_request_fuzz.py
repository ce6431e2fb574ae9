"""Any body gives texts or a refusal, and any results give one line per record."""

import contextlib
import csv
import json
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from byoc.errors import MalformedBodyError, NotAcceptableError, RequestError, UnsupportedMediaTypeError
from byoc.model import Result
from byoc.serving.request import CSV, JSON, JSON_LINES, MEDIA_TYPES, TEXT, Limits, decode, decode_records
from byoc.serving.response import Fields, choose_media_type, encode
from tests.support.hostile_bodies import accepts, any_text, bodies, content_types, media_types

LIMITS = Limits(texts=5, characters=12)
FIELDS = Fields(("label", "probability"), "probability")


@settings(max_examples=500, deadline=None)
@given(bodies, content_types | any_text)
@example(b"[" * 100_000, JSON)
@example(b'{"text": "a", "n": ' + b"9" * 5000 + b"}", JSON_LINES)
@example(b'{"inputs": "\\ud800\\u0000"}', JSON)
def test_any_body_is_decoded_or_refused(body: bytes, content_type: str) -> None:
    try:
        texts = decode(body, content_type, LIMITS)
    except RequestError:
        return
    assert len(texts) <= LIMITS.texts
    assert all(isinstance(text, str) and len(text) <= LIMITS.characters for text in texts)


@settings(max_examples=500, deadline=None)
@given(bodies, media_types.filter(lambda media_type: media_type != TEXT))
def test_records_and_texts_agree(body: bytes, content_type: str) -> None:
    """Records are the texts, unless one of them is an error, and then it is the one that refuses the body."""
    limits = replace(LIMITS, texts=10_000)
    try:
        records = decode_records(body, content_type, limits)
    except RequestError as error:
        records = [MalformedBodyError(str(error).partition("; none of the ")[0])]
    errors = [record for record in records if isinstance(record, RequestError)]
    if errors:
        with pytest.raises(MalformedBodyError) as refusal:
            decode(body, content_type, limits)
        assert str(refusal.value) == str(errors[0])
    else:
        assert decode(body, content_type, limits) == records


@settings(max_examples=500, deadline=None)
@given(bodies)
def test_every_line_is_a_record(body: bytes) -> None:
    # A good record on each side, because blank lines at the end and requests without good records differ.
    lines = body.count(b"\n") + 3
    assert len(decode_records(b'"a"\n' + body + b'\n"a"', JSON_LINES, LIMITS)) == lines
    # A quoted text may have lines of its own.
    unquoted = b"a\n" + body.replace(b'"', b"'") + b"\na"
    assert len(decode_records(unquoted, "text/csv; header=absent", LIMITS)) == lines
    assert len(decode_records(unquoted, TEXT, LIMITS)) == lines
    assert 2 <= len(decode_records(b"a\n" + body + b"\na", "text/csv; header=absent", LIMITS)) <= lines


@settings(max_examples=500, deadline=None)
@given(st.lists(any_text, min_size=1, max_size=5))
def test_any_texts_survive(texts: list[str]) -> None:
    lines = "\n".join(json.dumps({"text": text}) for text in texts).encode()
    assert decode(lines, JSON_LINES) == texts
    assert decode(json.dumps(texts).encode(), JSON) == texts


@settings(max_examples=500, deadline=None)
@given(st.lists(st.text(max_size=20), min_size=1, max_size=5))
def test_any_texts_survive_quoting(texts: list[str]) -> None:
    rows = "\r\n".join('"' + text.replace('"', '""') + '"' for text in texts)
    assert decode(rows.encode(), CSV) == texts


@settings(max_examples=500, deadline=None)
@given(any_text | accepts, content_types | any_text)
def test_any_accept_is_resolved_or_refused(accept: str, content_type: str) -> None:
    with contextlib.suppress(NotAcceptableError):
        assert choose_media_type(accept, content_type, FIELDS) in MEDIA_TYPES


answers = st.lists(
    st.fixed_dictionaries(
        {"label": st.sampled_from(["positive", "negative"]), "probability": st.floats(0, 1)}
    )
    | st.builds(MalformedBodyError, any_text)
    | st.builds(UnsupportedMediaTypeError, any_text),
    min_size=1,
    max_size=5,
)


@settings(max_examples=500, deadline=None)
@given(answers)
def test_every_answer_is_a_line(answers: list[Result | RequestError]) -> None:
    wanted = ["error" if isinstance(answer, RequestError) else answer["label"] for answer in answers]
    rows = encode(answers, CSV, FIELDS).decode().split("\n")
    assert [row[0] for row in csv.reader(rows, strict=True)] == wanted
    assert all(len(row) == 2 for row in csv.reader(rows, strict=True))
    records = [json.loads(line) for line in encode(answers, JSON_LINES, FIELDS).decode().split("\n")]
    assert [record.get("label", "error") for record in records] == wanted
    body = encode(answers, JSON, FIELDS)
    assert json.loads(body) == records
    assert b"\n" not in body
