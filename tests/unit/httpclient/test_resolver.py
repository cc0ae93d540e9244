import asyncio
import socket
import threading

import pytest

from harness.waiting import until
from promscout.httpclient import resolver as module
from promscout.httpclient.resolver import KEEP, KEEP_FAILURE, Resolver, shared_resolver

FOUND = [
    (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
    (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
]


class Names:
    """Stands in for the system's resolver: ``answer`` is given to each lookup, which are counted by name."""

    def __init__(self):
        self.asked = []
        self.answer = FOUND

    def __call__(self, host, *_args, **_options):
        assert threading.current_thread() is not threading.main_thread()
        self.asked.append(host)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def names(monkeypatch):
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names)
    return names


@pytest.fixture
def now(monkeypatch):
    """Lookups run in threads, for which virtual time does not wait: the clock of what is remembered alone is moved."""

    class Clock:
        moved = 0.0

    loop_time = asyncio.SelectorEventLoop.time
    monkeypatch.setattr(asyncio.SelectorEventLoop, "time", lambda loop: loop_time(loop) + Clock.moved)
    return Clock


@pytest.mark.real_time
async def test_addresses_are_kept_for_a_while_in_the_order_of_the_system(names, now):
    resolver = Resolver()
    for _ in range(3):
        assert await resolver.resolve("a") == ((socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1"))
    assert names.asked == ["a"]
    now.moved += KEEP + 1
    await resolver.resolve("a")
    assert names.asked == ["a", "a"]


@pytest.mark.real_time
async def test_a_failure_is_kept_for_a_moment_only(names, now):
    resolver = Resolver()
    names.answer = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    for _ in range(2):
        assert await resolver.resolve("a") == "cannot look up a: Name or service not known"
    assert names.asked == ["a"]
    now.moved += KEEP_FAILURE + 0.1
    names.answer = FOUND
    assert len(await resolver.resolve("a")) == 2


@pytest.mark.real_time
async def test_an_address_that_works_comes_first_from_then_on(names):
    resolver = Resolver()
    first, second = await resolver.resolve("a")
    resolver.prefer("a", second)
    assert await resolver.resolve("a") == (second, first)
    resolver.prefer("a", (socket.AF_INET, "127.0.0.9"))
    resolver.prefer("unknown", first)
    assert await resolver.resolve("a") == (second, first)


@pytest.mark.real_time
async def test_what_is_forgotten_is_looked_up_again(names):
    resolver = Resolver()
    await resolver.resolve("a")
    resolver.forget("a")
    await resolver.resolve("a")
    assert names.asked == ["a", "a"]


@pytest.mark.real_time
async def test_those_who_ask_at_once_share_a_lookup_even_if_one_gives_up(names):
    resolver = Resolver()
    first = asyncio.create_task(resolver.resolve("a"))
    others = [asyncio.create_task(resolver.resolve("a")) for _ in range(3)]
    await asyncio.sleep(0)
    first.cancel()
    assert {len(found) for found in await asyncio.gather(*others)} == {2}
    assert names.asked == ["a"]
    await until(lambda: not resolver._under_way)


@pytest.mark.parametrize(
    ("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6), ("fe80::1%1", socket.AF_INET6)]
)
async def test_an_address_needs_no_lookup(names, host, family):
    assert await Resolver().resolve(host) == ((family, host),)
    assert not names.asked


@pytest.mark.real_time
async def test_a_name_that_cannot_be_encoded_is_a_failure(names):
    names.answer = UnicodeError("label too long")
    assert await Resolver().resolve("x" * 300) == f"cannot look up {'x' * 300}: not a host name"


@pytest.mark.real_time
async def test_memory_of_names_is_bounded(names, monkeypatch):
    monkeypatch.setattr(module, "_MOST", 3)
    resolver = Resolver()
    for number in range(10):
        await resolver.resolve(f"n{number}")
        assert len(resolver._known) <= 3


async def test_all_that_runs_on_a_loop_shares_one_resolver():
    assert shared_resolver() is shared_resolver()
