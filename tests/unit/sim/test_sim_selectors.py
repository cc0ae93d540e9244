from __future__ import annotations

import pytest

from promscout.sim.resources import ENDPOINTS, NODES, PODS
from promscout.sim.selectors import Selector, parse_field_selector, parse_label_selector
from promscout.sim.status import Refusal

LABELS = {"app": "web", "tier": "front", "empty": "", "n": "5"}


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ("", True),
        ("  ", True),
        ("app=web", True),
        ("app==web", True),
        ("app=db", False),
        ("app!=db", True),
        ("app!=web", False),
        ("absent!=x", True),
        ("app in (web, db)", True),
        ("app in (db)", False),
        ("absent in (x)", False),
        ("app notin (db,cache)", True),
        ("app notin (web)", False),
        ("absent notin (x)", True),
        ("app", True),
        ("absent", False),
        ("!absent", True),
        ("! absent", True),
        ("!app", False),
        ("app=web,tier=front", True),
        ("app=web,tier=back", False),
        ("app=web , !absent, tier in (front,back)", True),
        ("empty=", True),
        ("empty in ()", True),
        ("app=", False),
        ("app in (db,)", False),
        ("empty in (db,)", True),
        ("n>4", True),
        ("n > 5", False),
        ("n<6", True),
        ("app>1", False),
        ("absent<1", False),
        ("example.com/part-of=x", False),
    ],
)
def test_a_label_selector_selects_as_kubernetes_does(selector, matches):
    assert Selector(parse_label_selector(selector)).matches(LABELS, {}) is matches


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("a in (", "unable to parse requirement: found '', expected: ',', ')' or identifier"),
        ("a in b", "unable to parse requirement: found 'b', expected: '('"),
        ("a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'"),
        ("=b", "unable to parse requirement: found '=', expected: !, identifier, or 'end of string'"),
        ("a=b c", "unable to parse requirement: found 'c', expected: ',' or 'end of string'"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a=b,", "unable to parse requirement: found '', expected: identifier after ','"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("a=(", "unable to parse requirement: found '(', expected: identifier"),
    ],
)
def test_a_broken_label_selector_is_refused_in_the_servers_words(selector, message):
    with pytest.raises(Refusal) as refusal:
        parse_label_selector(selector)
    assert (refusal.value.code, refusal.value.message) == (400, message)


@pytest.mark.parametrize("selector", ["a=b/c", "a=-b", "-a=b", "a=" + "x" * 64, "n>x"])
def test_a_label_selector_with_an_impossible_key_or_value_is_refused(selector):
    with pytest.raises(Refusal, match="unable to parse requirement"):
        parse_label_selector(selector)


FIELDS = {"metadata.name": "web-1", "metadata.namespace": "shop", "spec.nodeName": "a", "status.phase": "Running"}


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ("", True),
        ("metadata.name=web-1", True),
        ("metadata.name==web-2", False),
        ("metadata.namespace!=shop", False),
        ("spec.nodeName=a,status.phase=Running", True),
        ("spec.nodeName=a,status.phase!=Running", False),
        ("spec.nodeName=", False),
        (r"metadata.name=web\,1", False),
        (r"metadata.name!=web\=1", True),
    ],
)
def test_a_field_selector_selects_by_the_fields_of_the_resource(selector, matches):
    assert Selector(fields=parse_field_selector(selector, PODS)).matches({}, FIELDS) is matches


@pytest.mark.parametrize(
    ("resource", "selector", "message"),
    [
        (PODS, "spec.foo=1", "field label not supported: spec.foo"),
        (NODES, "status.phase=x", "field label not supported: status.phase"),
        (ENDPOINTS, "spec.nodeName=x", "field label not supported: spec.nodeName"),
        (PODS, "metadata.name", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
    ],
)
def test_a_field_that_the_resource_does_not_offer_is_refused(resource, selector, message):
    with pytest.raises(Refusal) as refusal:
        parse_field_selector(selector, resource)
    assert refusal.value.message == message
