"""Whatever a server sends, in whatever pieces: one outcome, nothing raised, nothing kept beyond the bounds."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from promscout.httpclient.answer import HEADER_LIMIT, Answer, Head, NoAnswer, Order
from promscout.httpclient.http1 import HTTP1Connection

LIMIT = 100

WORDS = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0 500 \r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 204 x\r\n",
        b"Content-Length: 5\r\n",
        b"Content-Length: 101\r\n",
        b"Content-Length: -1\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"Connection: upgrade\r\nUpgrade: x\r\n",
        b"X: y\r\n",
        b"\r\n",
        b"\n",
        b"5\r\nabcde\r\n",
        b"0\r\n\r\n",
        b"FFFFFFFFFFFFFFFFF\r\n",
        b"abcde",
        b"\0",
    ]
)
SENT = st.lists(WORDS | st.binary(max_size=20), max_size=12).map(b"".join)
WHOLE = st.binary(max_size=LIMIT).map(
    lambda body: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
)


class Transport:
    """Notes whether the connection was ended."""

    aborted = False

    def write(self, data):
        assert data == b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"

    def abort(self):
        self.aborted = True


async def outcome_of(pieces):
    """What comes of an answer that arrives in these pieces, after which the server closes; and its transport."""
    lost = []
    connection, transport = HTTP1Connection(lost.append), Transport()
    connection.connection_made(transport)
    order = Order("GET", "http", "h", "/", Head([]), LIMIT)
    exchange = asyncio.ensure_future(connection.exchange(order, asyncio.get_running_loop().time() + 1))
    await asyncio.sleep(0)
    for piece in pieces:
        if transport.aborted:
            break
        connection.data_received(piece)
        assert connection._size <= LIMIT + len(piece)
        assert connection._aside <= HEADER_LIMIT + len(piece)
    await asyncio.sleep(0)  # whoever waits hears of it
    usable = connection.free
    connection.connection_lost(None)
    assert lost == [connection]
    assert not connection.free
    return await exchange, usable


def cut(data, places):
    places = sorted({place % (len(data) + 1) for place in places})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True) if a < b]


@given(SENT, st.lists(st.integers(min_value=0), max_size=8))
async def test_the_outcome_does_not_depend_on_how_an_answer_is_cut(sent, places):
    whole, _ = await outcome_of([sent] if sent else [])
    parts, _ = await outcome_of(cut(sent, places))
    assert isinstance(whole, Answer | NoAnswer)
    if isinstance(whole, Answer) and isinstance(parts, Answer):
        assert (whole.status, whole.reason, whole.complete) == (parts.status, parts.reason, parts.complete)
        assert not whole.complete or whole.body == parts.body
        assert not whole.complete or len(whole.body) <= LIMIT
    else:
        assert type(whole) is type(parts)


@given(WHOLE, st.lists(st.integers(min_value=0), max_size=8))
async def test_a_whole_answer_leaves_a_connection_that_can_be_used_again(sent, places):
    outcome, usable = await outcome_of(cut(sent, places))
    assert outcome.body == sent.partition(b"\r\n\r\n")[2]
    assert outcome.complete
    assert usable


@given(WHOLE, st.integers(min_value=0))
async def test_an_answer_that_is_cut_short_is_none(sent, place):
    outcome, _ = await outcome_of([sent[: place % len(sent)]] if place % len(sent) else [])
    assert isinstance(outcome, NoAnswer)
    assert outcome.unheard is (place % len(sent) == 0)
