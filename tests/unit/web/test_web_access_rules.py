"""How many requests, and from which sites."""

from __future__ import annotations

import pytest

from promscout.errors import InvalidValueError
from promscout.web.access.config import RateInterval, RateLimit
from promscout.web.access.origin import Origins
from promscout.web.access.rate import RateLimiter
from promscout.web.external import ExternalURL, url_prefix


def test_a_burst_is_let_in_and_then_one_an_interval() -> None:
    now = 0.0
    limiter = RateLimiter(RateLimit(interval=RateInterval(2), burst=3), now=lambda: now)
    assert [limiter.allow() for _ in range(5)] == [True, True, True, False, False]
    now = 1.9
    assert not limiter.allow()
    now = 4.0
    assert [limiter.allow() for _ in range(3)] == [True, True, False]
    now = 1000.0
    assert [limiter.allow() for _ in range(4)] == [True, True, True, False]


def test_without_an_interval_nothing_is_limited() -> None:
    limiter = RateLimiter(RateLimit(), now=lambda: 0.0)
    assert all(limiter.allow() for _ in range(1000))


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("localhost:9090", True),
        ("LOCALHOST", True),
        ("localhost.", True),
        ("shop.localhost", True),
        ("127.0.0.1:9090", True),
        ("[::1]:9090", True),
        ("10.1.2.3", True),
        ("scout.example", True),
        ("scout.example:1", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("evil.example#localhost", False),
        ("evil.example@localhost", True),  # its host is localhost: no name server is asked for evil.example
        ("[::1", False),
        ("", False),
    ],
)
def test_names_that_an_attacker_can_point_here_are_foreign(host: str, own: bool) -> None:
    origins = Origins("scout.example:8080", own_names_only=True)
    assert origins.is_own(host) is own
    assert (origins.host_refusal(host) == "") is own
    assert Origins("scout.example:8080", own_names_only=False).host_refusal(host) == ""


@pytest.mark.parametrize(
    ("host", "origin", "site", "allowed"),
    [
        ("promscout.monitoring:9090", None, None, True),  # no browser
        ("10.0.0.1:9090", "http://10.0.0.1:9090", "same-origin", True),
        ("10.0.0.1:9090", "http://10.0.0.1:9090", None, True),
        ("10.0.0.1:9090", None, "none", True),  # typed by a person
        ("10.0.0.1:9090", None, "cross-site", False),
        ("10.0.0.1:9090", None, "same-site", False),
        ("10.0.0.1:9090", "http://10.0.0.1:9090", "cross-site", False),
        ("10.0.0.1:9090", "http://evil.example", None, False),
        ("10.0.0.1:9090", "null", None, False),
        ("10.0.0.1:9090", "", None, False),
        ("evil.example:9090", "http://evil.example:9090", "same-origin", False),  # DNS rebinding
        ("promscout.monitoring:9090", "https://scout.example", "same-origin", True),  # a proxy that changes Host
    ],
)
def test_changes_are_for_programs_and_own_pages(host: str, origin: str | None, site: str | None, allowed: bool) -> None:
    refusal = Origins("scout.example", own_names_only=False).cross_site_refusal(host, origin, site)
    assert (refusal == "") is allowed


@pytest.mark.parametrize(
    ("path", "prefix"),
    [("", ""), ("/", ""), ("//", ""), ("scout", "/scout"), ("/a/b/", "/a/b"), ("/a-b_c.d~", "/a-b_c.d~")],
)
def test_a_prefix_begins_with_a_slash_and_does_not_end_with_one(path: str, prefix: str) -> None:
    assert url_prefix(path) == prefix


@pytest.mark.parametrize("path", ["/a//b", "/a/../b", "/.", "/a b", "/{x}", "/a?b", "/%2e%2e", "/ä", "/a\nb", '/"'])
def test_a_prefix_that_could_mean_something_else_is_refused(path: str) -> None:
    with pytest.raises(InvalidValueError, match="a path may have letters"):
        url_prefix(path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ftp://scout.example", "scheme must be"),
        ("scout.example/prom", "scheme must be"),
        ("http:///prom", "host is missing"),
        ("http://u:p@scout.example", "user or password"),
        ("http://scout.example/?a=b", "end with the path"),
        ("http://scout.example/#a", "end with the path"),
        ('"http://scout.example"', "scheme must be"),
        ("http://scout.example/\r\nSet-Cookie: a", "control characters"),
        ("http://scout.example:port", "not a valid URL"),
    ],
)
def test_an_external_url_that_is_none_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InvalidValueError, match=reason):
        ExternalURL.parse(text, 9090)


def test_an_external_url_has_a_path_without_a_slash_at_its_end() -> None:
    assert ExternalURL.parse("https://scout.example:8443/prom/", 9090) == ExternalURL(
        "https", "scout.example:8443", 9090, "/prom"
    )
