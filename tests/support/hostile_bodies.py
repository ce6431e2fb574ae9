"""Strategies for hostile bodies of requests and their content types."""

import json

from hypothesis import strategies as st

from byoc.serving.request import CSV, JSON, JSON_LINES, TEXT

any_text = st.text(st.characters(), max_size=20)  # lone surrogates too
pieces = st.sampled_from(
    [
        *[bytes([byte]) for byte in b'"\\{}[],:\n\r\0-a\xff\xc3'],
        *[b'""', b"\r\n", b"\\ud800", b"\\u0000", b'"text"', b'"inputs"', b'"instances"', b"null", b"true"],
        *[b"1e999999", b"NaN", b"9" * 5000, b"a" * 13, b"<a ", b"</p>", b"&eacute;"],
        *[b"\xef\xbb\xbf", b"\xed\xa0\x80", "\u2028".encode(), "\U0001f600".encode()],
    ]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["text", "inputs", "instances"]), inner),
    max_leaves=10,
)
documents = values.map(json.dumps).map(str.encode)
texts = st.lists(any_text, min_size=1, max_size=8)
bodies = st.one_of(
    st.binary(max_size=200),
    st.lists(pieces, max_size=30).map(b"".join),
    st.tuples(pieces, st.sampled_from([b"[", b'{"inputs":']), pieces).map(
        lambda own: own[0] + own[1] * 20_000 + own[2]
    ),
    documents,
    st.lists(documents, max_size=8).map(b"\n".join),
    texts.map(json.dumps).map(str.encode),
    texts.map(lambda own: "\n".join(map(json.dumps, own)).encode()),
    st.tuples(documents, st.binary(max_size=3), st.integers(0, 100)).map(
        lambda parts: parts[0][: parts[2]] + parts[1] + parts[0][parts[2] :]
    ),
)

media_types = st.sampled_from([JSON, JSON_LINES, CSV, TEXT])
content_types = st.builds(
    "".join,
    st.tuples(
        media_types,
        st.sampled_from(["", ";", "; charset=utf-8", ';CHARSET="UTF8"', "; charset*=utf-8''x", '; a="']),
    ),
)
accepts = st.lists(
    st.tuples(
        media_types | st.sampled_from(["*/*", "text/*", "x/y", "*"]),
        st.sampled_from(["", ";q=0", ";q=0.5", ";q=nan", ";q=1e9", ";q", " ; q=1"]),
    ).map("".join),
    max_size=5,
).map(", ".join)
