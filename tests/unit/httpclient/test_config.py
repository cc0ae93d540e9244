from __future__ import annotations

import json
import pickle
from pathlib import Path

import msgspec
import pytest

from promscout.errors import InvalidValueError
from promscout.httpclient.config import (
    URL,
    Authorization,
    BasicAuth,
    Header,
    HTTPClientConfig,
    OAuth2,
    Secret,
    TLSConfig,
)
from promscout.model.frozendict import FrozenDict

SECRET = Secret("hunter2")
OAUTH2 = OAuth2(client_id="i", token_url="http://t")


class Inheriting(HTTPClientConfig, frozen=True, kw_only=True):
    job: str = ""


def test_a_secret_prints_as_a_placeholder_everywhere():
    shown = [
        str(SECRET),
        repr(SECRET),
        f"{SECRET}",
        f"{SECRET!r:>20}",
        "{}".format(SECRET),  # noqa: UP032 - every way to format counts
        repr([SECRET]),
        repr({"a": SECRET}),
    ]
    assert all("hunter2" not in text and "<secret>" in text for text in shown)
    assert SECRET.reveal() == "hunter2"


def test_a_secret_cannot_be_used_as_a_text_by_mistake():
    texts = ["a", SECRET]
    for use in (
        lambda: "a" + SECRET,
        lambda: ",".join(texts),
        lambda: json.dumps(SECRET),
        lambda: b"" + SECRET,
    ):
        with pytest.raises(TypeError):
            use()
    with pytest.raises(TypeError):
        msgspec.json.encode(HTTPClientConfig(bearer_token=SECRET))


def test_an_empty_secret_is_false_and_prints_as_nothing():
    assert not Secret()
    assert str(Secret()) == ""
    assert SECRET


def test_secrets_are_equal_by_their_text_but_not_to_texts_or_urls():
    assert Secret("a") == Secret("a")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert Secret("http://a") != URL("http://a")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://user:hunter2@host:1/p?q#f", "http://user:xxxxx@host:1/p?q#f"),
        ("https://:hunter2@[::1]:8443", "https://:xxxxx@[::1]:8443"),
        ("http://user@host", "http://user@host"),
        ("http://host/a:b@c", "http://host/a:b@c"),
        ("", ""),
    ],
)
def test_a_url_prints_without_its_password(text, shown):
    assert str(URL.parse(text)) == shown
    assert URL.parse(text).reveal() == text


@pytest.mark.parametrize(
    "text",
    ["host:9090", "ftp://host", "http://", "http://u:hunter2@", "http://[::1", "http://h:x", "//h", "http://h/a b"],
)
def test_what_is_no_http_url_is_refused_without_quoting_it(text):
    with pytest.raises(InvalidValueError) as caught:
        URL.parse(text)
    assert text not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message", "key"),
    [
        (
            {"bearer_token": SECRET, "bearer_token_file": "f"},
            "at most one of bearer_token & bearer_token_file must be configured",
            "bearer_token_file",
        ),
        (
            {"bearer_token": SECRET, "basic_auth": BasicAuth(username="u")},
            "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured",
            None,
        ),
        (
            {"bearer_token_file": "f", "oauth2": OAUTH2},
            "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured",
            None,
        ),
        (
            {"bearer_token": SECRET, "authorization": Authorization()},
            "authorization is not compatible with bearer_token & bearer_token_file",
            None,
        ),
        (
            {"basic_auth": BasicAuth(), "authorization": Authorization()},
            "at most one of basic_auth, oauth2 & authorization must be configured",
            None,
        ),
        (
            {"basic_auth": BasicAuth(), "oauth2": OAUTH2},
            "at most one of basic_auth, oauth2 & authorization must be configured",
            None,
        ),
        (
            {"http_headers": FrozenDict({"user-Agent": Header()})},
            'setting header "user-Agent" is not allowed',
            "http_headers",
        ),
        (
            {"proxy_from_environment": True, "no_proxy": "x"},
            "if proxy_from_environment is configured, no_proxy must not be configured",
            "no_proxy",
        ),
    ],
)
def test_options_that_exclude_each_other_are_refused(options, message, key):
    for kind in (HTTPClientConfig, Inheriting):
        with pytest.raises(InvalidValueError) as caught:
            kind(**options)
        assert str(caught.value) == message
        assert caught.value.key == key


def test_a_bearer_token_becomes_an_authorization():
    assert HTTPClientConfig(bearer_token=SECRET) == HTTPClientConfig(authorization=Authorization(credentials=SECRET))
    config = HTTPClientConfig(bearer_token_file="f")
    assert config.authorization == Authorization(credentials_file="f")
    assert config.bearer_token_file == ""


def test_the_type_of_an_authorization_has_no_blanks_around_it():
    assert Authorization(type=" Token ").type == "Token"
    assert Authorization(type=" ").type == "Bearer"


def test_the_http_options_of_different_structs_are_equal_and_hashable():
    options = {
        "bearer_token": SECRET,
        "http_headers": FrozenDict({"X-A": Header(secrets=(SECRET,))}),
        "tls_config": TLSConfig(server_name="x"),
    }
    one, other = Inheriting(job="a", **options).http_client_config(), HTTPClientConfig(**options)
    assert type(one) is HTTPClientConfig
    assert one == other
    assert {one: 1}[other] == 1
    assert one != HTTPClientConfig(**options | {"follow_redirects": False})


def test_an_inheriting_struct_keeps_its_own_fields_when_files_are_joined():
    config = Inheriting(job="a", basic_auth=BasicAuth(password_file="p")).with_directory(Path("/etc/x"))
    assert config == Inheriting(job="a", basic_auth=BasicAuth(password_file="/etc/x/p"))


def test_a_frozen_dict_refuses_every_change():
    frozen = FrozenDict({"a": 1})
    changes = (
        lambda: frozen.__setitem__("a", 2),
        lambda: frozen.__delitem__("a"),
        lambda: frozen.update(b=1),
        lambda: frozen.pop("a"),
        frozen.popitem,
        frozen.clear,
        lambda: frozen.setdefault("b", 1),
        lambda: frozen.__ior__({"b": 1}),
    )
    for change in changes:
        with pytest.raises(TypeError):
            change()
    assert frozen == {"a": 1}
    assert hash(frozen) == hash(FrozenDict({"a": 1}))
    assert pickle.loads(pickle.dumps(frozen)) == frozen
    assert frozen.copy() is frozen
