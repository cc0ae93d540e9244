"""Checking passwords."""

from __future__ import annotations

import asyncio
import time

import bcrypt
import pytest

from promscout.web.access.config import PasswordHash
from promscout.web.access.passwords import MAX_WAITING, Passwords, Verdict

pytestmark = pytest.mark.real_time


def hashed(password: bytes, cost: int = 4) -> PasswordHash:
    return PasswordHash.parse(bcrypt.hashpw(password, bcrypt.gensalt(cost)).decode().replace("$2b$", "$2y$"))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The passwords that were compared with a hash."""
    seen: list[bytes] = []
    check = bcrypt.checkpw

    def counting(password: bytes, text: bytes) -> bool:
        seen.append(password)
        return check(password, text)

    monkeypatch.setattr(bcrypt, "checkpw", counting)
    return seen


async def test_the_right_password_of_the_right_user_is_right() -> None:
    passwords, users = Passwords(), {"alice": hashed(b"hunter2"), "bob": hashed(b"swordfish")}
    assert await passwords.check(users, "alice", b"hunter2") is Verdict.RIGHT
    for user, password in (
        ("alice", b"swordfish"),
        ("alice", b""),
        ("alice", b"hunter2 "),
        ("alice", b"hunter2\0"),
        ("Alice", b"hunter2"),
        ("", b""),
        ("nobody", b"hunter2"),
        ("nobody", b"swordfish"),
    ):
        assert await passwords.check(users, user, password) is Verdict.WRONG, (user, password)


async def test_bytes_beyond_the_72nd_do_not_count_as_in_go() -> None:
    passwords, users = Passwords(), {"alice": hashed(b"x" * 72)}
    assert await passwords.check(users, "alice", b"x" * 100) is Verdict.RIGHT
    assert await passwords.check(users, "alice", b"x" * 71) is Verdict.WRONG


async def test_a_result_is_remembered_until_the_hash_changes(counted: list[bytes]) -> None:
    passwords, users = Passwords(), {"alice": hashed(b"hunter2")}
    for _ in range(3):
        assert await passwords.check(users, "alice", b"hunter2") is Verdict.RIGHT
        assert await passwords.check(users, "alice", b"guess") is Verdict.WRONG
    assert counted == [b"hunter2", b"guess"]
    assert await passwords.check({"alice": hashed(b"guess")}, "alice", b"hunter2") is Verdict.WRONG


async def test_a_result_is_forgotten_when_the_user_is_removed_or_renamed() -> None:
    passwords, alice, bob = Passwords(), hashed(b"hunter2"), hashed(b"swordfish")
    assert await passwords.check({"alice": alice, "bob": bob}, "alice", b"hunter2") is Verdict.RIGHT
    for users in ({"alicia": alice}, {"bob": bob}, {"bob": alice, "carol": alice}):
        assert await passwords.check(users, "alice", b"hunter2") is Verdict.WRONG
    assert await passwords.check({"alice": alice}, "alice", b"hunter2") is Verdict.RIGHT


async def test_the_same_password_asked_for_at_once_is_checked_once(counted: list[bytes]) -> None:
    passwords, users = Passwords(), {"alice": hashed(b"hunter2")}
    asked = [passwords.check(users, "alice", b"hunter2") for _ in range(50)]
    assert set(await asyncio.gather(*asked)) == {Verdict.RIGHT}
    assert counted == [b"hunter2"]


async def test_an_unknown_user_costs_what_a_known_one_does(counted: list[bytes]) -> None:
    passwords, users = Passwords(), {"alice": hashed(b"hunter2")}
    await passwords.check(users, "nobody", b"guess")
    assert counted == [b"guess"]


async def test_a_flood_of_wrong_passwords_leaves_the_loop_and_known_users_alone() -> None:
    passwords, users = Passwords(), {"alice": hashed(b"hunter2", cost=8)}
    assert await passwords.check(users, "alice", b"hunter2") is Verdict.RIGHT
    flood = [asyncio.create_task(passwords.check(users, "alice", b"guess %d" % number)) for number in range(500)]
    latest = 0.0
    while not all(task.done() for task in flood):
        started = time.perf_counter()
        assert await passwords.check(users, "alice", b"hunter2") is Verdict.RIGHT
        await asyncio.sleep(0)
        latest = max(latest, time.perf_counter() - started)
    verdicts = [task.result() for task in flood]
    assert verdicts.count(Verdict.WRONG) == MAX_WAITING + 1
    assert verdicts.count(Verdict.BUSY) == 500 - MAX_WAITING - 1
    assert latest < 0.2  # a hash of this cost takes a tenth of that, and there are seventeen
