from __future__ import annotations

import pytest
import yarl

from promscout.httpclient.config import URL, HTTPClientConfig
from promscout.httpclient.proxy import NoProxy, ProxyChoice


@pytest.mark.parametrize(
    ("entries", "host", "port", "direct"),
    [
        ("*", "anything", 80, True),
        ("example.com", "example.com", 80, True),
        ("example.com", "a.example.com", 80, True),
        ("example.com", "badexample.com", 80, False),
        (".example.com", "example.com", 80, False),
        (".example.com", "a.example.com", 80, True),
        ("*.example.com", "a.example.com", 80, True),
        ("example.com:8080", "example.com", 80, False),
        ("example.com:8080", "example.com", 8080, True),
        ("EXAMPLE.com", "example.COM.", 80, True),
        ("10.0.0.0/8", "10.1.2.3", 80, True),
        ("10.0.0.0/8", "11.1.2.3", 80, False),
        ("192.0.2.1:90", "192.0.2.1", 90, True),
        ("192.0.2.1:90", "192.0.2.1", 91, False),
        ("fd00::/8", "fd00::1", 80, True),
        ("[fd00::1]:90", "fd00::1", 90, True),
        ("[fd00::1]:90", "fd00::1", 91, False),
        ("", "localhost", 80, True),
        ("", "127.9.9.9", 80, True),
        ("", "::1", 80, True),
        ("a, b ,,c", "b", 80, True),
        ("a", "10.1.2.3", 80, False),
    ],
)
def test_no_proxy_is_understood_as_go_does(entries, host, port, direct):
    assert NoProxy(entries).covers(host, port) is direct


def choose(url: str, environment: dict[str, str] | None = None, **options: object) -> str | None:
    chosen = ProxyChoice(HTTPClientConfig(**options), environment or {})(yarl.URL(url))
    return None if chosen is None else str(chosen)


def test_a_proxy_url_is_for_everything_loopback_included():
    assert choose("https://127.0.0.1/", proxy_url=URL("http://p:3128")) == "http://p:3128"


def test_no_proxy_makes_exceptions_from_the_proxy_url():
    assert choose("https://a.b/", proxy_url=URL("http://p:3128"), no_proxy="b") is None
    assert choose("https://a.c/", proxy_url=URL("http://p:3128"), no_proxy="b") == "http://p:3128"


def test_the_environment_counts_only_when_asked_for():
    environment = {"http_proxy": "p:1", "HTTPS_PROXY": "http://s:2", "NO_PROXY": "b"}
    assert choose("http://a/", environment) is None
    assert choose("http://a/", environment, proxy_from_environment=True) == "http://p:1"
    assert choose("https://a/", environment, proxy_from_environment=True) == "http://s:2"
    assert choose("https://b/", environment, proxy_from_environment=True) is None
