"""Strategies for malformed HTTP: the server may refuse a request, but has to survive it."""

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.image.raw_http import Exchange, cut, request


def one_of(values: bytes, *more: bytes) -> SearchStrategy[bytes]:
    """One of several values, which are separated by ``|``."""
    return st.sampled_from([*values.split(b"|"), *more])


places = st.lists(st.integers(0, 10_000), max_size=4)

names = one_of(
    b"Content-Type|content-TYPE|Accept|X-Amzn-SageMaker-Custom-Attributes|Connection|Expect|Range|Cookie|X_Y|X-A"
    b"|Upgrade|Trailer|X-Received|x-texts|body|Content-Encoding|TE|If-Match|Authorization|Date"
)
bad_names = one_of(b"Host|| X|X\0|X Y|X:|\xff|Transfer-Encoding|Content-Length", b"a" * 5000)
values = st.binary(max_size=30) | one_of(
    b"text/plain|application/json|a\r\n b|a\0b|\xc3\xa9|100-continue|close|keep-alive|h2c|bytes=0-1|gzip"
    b"|\t|\x7f|",
    b"a" * 1025,
    b"a" * 17_000,
)


@st.composite
def headers(draw: st.DrawFn) -> Exchange:
    """Up to 10,000 arbitrary headers; a value with line ends can turn one request into several."""
    own = draw(st.lists(st.tuples(names, values), max_size=8))
    own += draw(st.just([]) | st.tuples(bad_names, values).map(lambda pair: [pair]))
    own *= draw(st.sampled_from([1, 1, 1, 1, 10, 1250]))
    return Exchange("headers", [request(headers=own)], most=2 * len(own) + 2)


lengths = one_of(
    b"|-1|+11|0x0b|11, 11|11, 12|1e1| 11|11 |00011|11;|10|12|\xb2|99999999999999999999|9223372036854775807"
    b"|2147483648|26214401|11\r\nContent-Length: 12"
)
codings = one_of(
    b"|chunked|Chunked| chunked |xchunked|chunked, chunked|identity|gzip, chunked|\x0bchunked|chunked;q=1"
    b"|identity, chunked|'chunked'|chunked,|chunked\r\nTransfer-Encoding: identity"
)
chunks = one_of(
    b"b\r\nwhat a film\r\n|0b\r\nwhat a film\r\n|B;x=y\r\nwhat a film\r\n|b;\r\nwhat a film\r\n|0\r\n\r\n"
    b"|0\r\nX: y\r\n\r\n|b\nwhat a film\n|-b\r\nwhat a film\r\n|0xb\r\nwhat a film\r\n| b\r\nwhat a film\r\n"
    b"|b \r\nwhat a film\r\n|c\r\nwhat a film\r\n|a\r\nwhat a film\r\n|80000000\r\nx|7fffffffffffffff\r\n"
    b"|ffffffffffffffffffff\r\n|0\r\n|\r\n|g\r\n",
    b"b;" + b"x" * 20_000 + b"\r\n",
    b"1" * 20_000,
)
SMUGGLED = request("GET", "/smuggled", headers=(), body=b"")


@st.composite
def framing(draw: st.DrawFn) -> Exchange:
    """Wrong or contradictory lengths and chunks, or a hidden second request."""
    own: list[tuple[bytes, bytes]] = [(b"Content-Type", b"text/plain")]
    own += [(b"Content-Length", value) for value in draw(st.lists(lengths, max_size=2))]
    own += [(b"Transfer-Encoding", value) for value in draw(st.lists(codings, max_size=2))]
    body = draw(st.lists(chunks, max_size=4).map(b"".join) | st.just(b"what a film"))
    body += draw(st.sampled_from([b"", SMUGGLED]))
    # In every reading it is at most the request, a smuggled request and the remains of broken requests.
    return Exchange("framing", cut(request(headers=own, body=b"") + body, draw(places)), most=10)


request_lines = st.binary(max_size=100) | one_of(
    b"GET /ping|GET /ping\n|GET  /ping HTTP/1.1|GET /ping HTTP/1.1 |GET\t/ping\tHTTP/1.1| GET / HTTP/1.1"
    b"|GET /\0 HTTP/1.1|GET \xff HTTP/1.1|GET /ping HTTP/0.9|GET /ping HTTP/1.0|GET /ping HTTP/1.2"
    b"|GET /ping HTTP/2.0|GET /ping HTTP/9|get /ping HTTP/1.1|GET /ping HTTP/1.1.1|GET /ping http/1.1"
    b"|GET /ping HTTP/999999.1|CONNECT localhost:80 HTTP/1.1|PROXY TCP4 1.1.1.1 1.1.1.1 1 1|\x05\x01\0"
    b"|PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(100),  # of TLS
    b"\r\n" * 10,
    b"A" * 70_000,
    b"GET " + b"/" * 70_000,
    b"GET /ping?" + b"&" * 70_000 + b" HTTP/1.1",
)


@st.composite
def lines(draw: st.DrawFn) -> Exchange:
    """A malformed request line."""
    rest = draw(one_of(b"\r\n\r\n|\r\nHost: x\r\n\r\n|\n\n||\r\n|\r\n\0\r\n\r\n"))
    return Exchange("line", cut(draw(request_lines) + rest, draw(places)), most=12)
