"""Strategies for exchanges with the server, most of them valid HTTP.

``byoc.serving`` predicts the answers.
"""

import json
from collections.abc import Mapping

from hypothesis import strategies as st

import sentiment
from byoc.errors import RequestError
from byoc.serving.request import JSON, Limits, decode, decode_records, is_misshapen
from byoc.serving.response import Fields, choose_media_type
from tests.image.broken_http import one_of, places
from tests.image.raw_http import GOOD, End, Exchange, chunked, cut, request
from tests.support.hostile_bodies import accepts, bodies, content_types, media_types, texts

FIELDS = Fields(sentiment.csv_fields, sentiment.plain_field)
LIMITS = Limits(text_fields=(*sentiment.text_fields, "inputs"), labels=sentiment.labels)
ROUTES = {
    "/ping": ("GET", "HEAD"),
    "/metrics": ("GET",),
    "/invocations": ("POST",),
    "/execution-parameters": ("GET",),
}

OK, MISSING, NOT_ALLOWED, UNSUPPORTED = ({status} for status in (200, 404, 405, 415))
SURVIVED = {200, *range(400, 500)}


def worth(body: bytes, content_type: str, accept: str, *, batch: bool) -> tuple[set[int], int | None]:
    """The expected status for a body, and the number of records."""
    try:
        choose_media_type(accept, content_type, FIELDS, batch=batch)
        records = (decode_records if batch else decode)(body, content_type, LIMITS)
    except RequestError as error:
        return {error.status}, None
    # Without a text, the status depends on the requests before.
    statuses = {200, 400} if len(records) == 1 and is_misshapen(records[0]) else OK
    return statuses, len(records)


large_bodies = st.one_of(
    st.tuples(one_of(b'<a |[|"|\\u0000|a |\n|9|\xff'), st.integers(1, 16)).map(
        lambda own: own[0] * (own[1] * 65_536 // len(own[0]))
    ),
    st.integers(1, 11_000).map(lambda count: json.dumps(["good"] * count).encode()),
    st.integers(1, 11_000).map(lambda count: b'{"text": "<b>good"}\n' * count),
    st.integers(1, 21_000).map(lambda count: json.dumps("x" * count).encode()),
)


@st.composite
def predictions(
    draw: st.DrawFn, content: st.SearchStrategy[bytes] = bodies, *, batch: bool = False
) -> Exchange:
    """A valid request with any body and content type."""
    body, content_type, accept = draw(content), draw(content_types), draw(accepts)
    headers = [(b"Content-Type", content_type.encode()), (b"Accept", accept.encode())]
    if draw(st.booleans()):
        message = chunked(headers, cut(body, draw(places)))
    else:
        message = request(headers=headers, body=body)
    statuses, records = worth(body, content_type, accept, batch=batch)
    return Exchange("body", cut(message, draw(places)), End.WAIT, [statuses], records=records)


methods = one_of(b"GET|POST|PUT|DELETE|PATCH|HEAD|OPTIONS|TRACE|PROPFIND|LOCK|PURGE|X|G-T").map(bytes.decode)
segments = one_of(
    b"ping|metrics|invocations|models|model|predictions|execution-parameters|api-description|invoke|index.html"
    b"|..|.|%2e%2e|%2f|%00|%|%zz|%70ing|\xe9|;x|*|",
    b"a" * 300,
).map(lambda segment: segment.decode("latin-1"))
targets = st.one_of(
    st.sampled_from([*ROUTES, "*", "http://localhost/ping", "//ping", "/ping?", "/ping#a", "/invocations/"]),
    st.tuples(
        st.lists(segments, max_size=5).map("/".join),
        st.sampled_from(["", "?", "?model_name=x", "?url=http://x/", "?%"]),
    ).map(lambda own: "/" + "".join(own)),
    st.integers(1, 70_000).map(lambda count: "/" + "a" * count),
)


@st.composite
def routes(draw: st.DrawFn) -> Exchange:
    """Any method on any path."""
    method, target = draw(methods), draw(targets)
    statuses = SURVIVED
    if target in ROUTES:
        statuses = {200, 400} if method in ROUTES[target] else NOT_ALLOWED
    elif target[1:].isalnum() and target.isascii() and len(target) < 1000:
        statuses = MISSING
    message = request(method, target, body=draw(st.sampled_from([b"", GOOD])))
    return Exchange("route", [message], End.WAIT, [statuses])


GET_PING = request("GET", "/ping", headers=(), body=b"")
SMALL: Mapping[bytes, set[int]] = {
    request(): OK,
    request(headers=[(b"Content-Type", JSON.encode())], body=b'["good", "bad"]'): OK,
    request(headers=[(b"Content-Type", b"image/png")]): UNSUPPORTED,
    GET_PING: OK,
    GET_PING.replace(b"/ping", b"/execution-parameters"): OK,
    GET_PING.replace(b"/ping", b"/metrics"): OK,
    GET_PING.replace(b"/ping", b"/models"): MISSING,
    GET_PING.replace(b"GET", b"PUT"): NOT_ALLOWED,
}


@st.composite
def pipelined(draw: st.DrawFn, *, batch: bool = False) -> Exchange:
    """Several requests at once, answered in order."""
    # Batch transform ends the job of an unsupported type with a 400.
    small = {one: {400} if batch and statuses == UNSUPPORTED else statuses for one, statuses in SMALL.items()}
    own = draw(st.lists(st.sampled_from(sorted(SMALL)), min_size=2, max_size=20))
    parts = cut(b"".join(own), draw(places))
    return Exchange("pipelined", parts, End.WAIT, [small[one] for one in own], most=len(own))


small_requests = st.builds(
    lambda content_type, body: request(headers=[(b"Content-Type", content_type.encode())], body=body),
    media_types,
    texts.map(json.dumps).map(str.encode),
)


@st.composite
def broken_off(draw: st.DrawFn) -> Exchange:
    """A request that ends early, or whose client does not wait for the answer."""
    message = draw(small_requests)
    sent = message[: draw(st.integers(1, len(message)))]
    return Exchange("broken off", cut(sent, draw(places)), draw(st.sampled_from([End.RESET, End.HALF_CLOSE])))


@st.composite
def mutated(draw: st.DrawFn) -> Exchange:
    """A valid request with bytes changed, inserted or removed."""
    message = draw(small_requests)
    changes = st.tuples(st.integers(0, 10_000), st.integers(0, 3), st.binary(max_size=3))
    for place, left_out, put_in in draw(st.lists(changes, min_size=1, max_size=4)):
        start = place % len(message)
        message = message[:start] + put_in + message[start + left_out :]
    return Exchange("mutated", [message], most=20)


@st.composite
def dripping(draw: st.DrawFn) -> Exchange:
    """A valid request, a few bytes at a time."""
    message, size = draw(small_requests), draw(st.integers(4, 32))
    parts = [message[i : i + size] for i in range(0, len(message), size)]
    return Exchange("drip", parts, End.WAIT, [SURVIVED], pause=0.005)
