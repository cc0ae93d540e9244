from __future__ import annotations

import logging

import dns.rcode
import pytest

from harness.name_server import name_server
from harness.waiting import until
from promscout.discovery.dns.config import DNSSDConfig, RecordType
from promscout.discovery.dns.discoverer import DNSFactory
from promscout.discovery.dns.lookup import Lookup, LookupFailed, ResolvConf
from promscout.model.duration import Duration
from unit.discovery.discovered import Discovered

pytestmark = pytest.mark.real_time

SRV = RecordType.SRV
BROKEN = [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.FORMERR, dns.rcode.NOTIMP]


@pytest.fixture
async def server(free_port):
    async with name_server(free_port) as server:
        yield server


@pytest.fixture
def resolver(server, tmp_path):
    """Makes a lookup with the given lines of a resolv.conf beside its server."""

    def make(*lines, servers=("127.0.0.1",)):
        file = tmp_path / "resolv.conf"
        file.write_text("\n".join([*(f"nameserver {address}" for address in servers), *lines, ""]))
        return Lookup(file, port=server.port, answer_seconds=0.2)

    return make


class DNSDiscovered(Discovered):
    """DNS discoverers that ask every 20 ms."""

    def __init__(self, lookup):
        super().__init__(lambda context: DNSFactory(context, lookup))

    def running(self, *names, **options):
        return self.discovering(DNSSDConfig(names=names, **{"refresh_interval": Duration(0.02)} | options))

    @property
    def targets(self):
        """All labels of all targets, without the group's name."""
        return {
            source: [group.labels_of(n) for n in range(len(group.targets))] for source, group in self.groups.items()
        }

    def value(self, name, **labels):
        return self.registry.get_sample_value(f"prometheus_sd_{name}", labels)


@pytest.fixture
def discovered(resolver):
    return DNSDiscovered(resolver())


LABELS = {
    "SRV": (
        ["5 0 9100 web-2.test.", "5 0 9101 Web-1.test."],
        [
            {
                "__address__": "Web-1.test:9101",
                "__meta_dns_srv_record_target": "Web-1.test.",
                "__meta_dns_srv_record_port": "9101",
            },
            {
                "__address__": "web-2.test:9100",
                "__meta_dns_srv_record_target": "web-2.test.",
                "__meta_dns_srv_record_port": "9100",
            },
        ],
    ),
    "MX": (["10 mail.test."], [{"__address__": "mail.test:80", "__meta_dns_mx_record_target": "mail.test."}]),
    "NS": (["ns1.test."], [{"__address__": "ns1.test:80", "__meta_dns_ns_record_target": "ns1.test."}]),
    "A": (["127.0.0.2", "127.0.0.1"], [{"__address__": "127.0.0.1:80"}, {"__address__": "127.0.0.2:80"}]),
    "AAAA": (
        ["2001:db8:0::1", "::ffff:127.0.0.1"],
        [{"__address__": "127.0.0.1:80"}, {"__address__": "[2001:db8::1]:80"}],
    ),
}


@pytest.mark.parametrize("kind", LABELS)
async def test_every_record_becomes_a_target(discovered, server, kind):
    records, expected = LABELS[kind]
    server.records["all.test."] = {kind: records}
    async with discovered.running("all.test", type=RecordType(kind), port=0 if kind == "SRV" else 80):
        await until(lambda: discovered.published)
    assert discovered.targets == {"all.test": [labels | {"__meta_dns_name": "all.test"} for labels in expected]}


async def test_addresses_behind_an_alias_are_targets_of_the_name(discovered, server):
    server.records["alias.test."] = {"CNAME": ["real.test."], "A": ["127.0.0.1"]}
    async with discovered.running("alias.test", type=RecordType.A, port=80):
        await until(lambda: discovered.published)
    assert discovered.targets == {"alias.test": [{"__address__": "127.0.0.1:80", "__meta_dns_name": "alias.test"}]}


async def test_a_changed_order_of_records_is_no_change(discovered, server):
    server.records["a.test."] = {"A": ["127.0.0.1", "127.0.0.2"]}
    async with discovered.running("a.test", type=RecordType.A, port=80):
        await until(lambda: discovered.published)
        before = discovered.groups["a.test"]
        server.records["a.test."] = {"A": ["127.0.0.2", "127.0.0.1"]}
        seen = discovered.published
        await until(lambda: discovered.published > seen + 1)
    assert discovered.groups["a.test"] == before


async def test_a_name_that_fails_keeps_its_targets_while_others_change(discovered, server, caplog):
    server.records |= {"a.test.": {"A": ["127.0.0.1"]}, "b.test.": {"A": ["127.0.0.2"]}}
    async with discovered.running("a.test", "b.test", "a.test", type=RecordType.A, port=80):
        await until(lambda: len(discovered.groups) == 2)
        with caplog.at_level(logging.ERROR):
            server.records |= {"a.test.": dns.rcode.SERVFAIL, "b.test.": {"A": ["127.0.0.3"]}}
            await until(lambda: discovered.targets["b.test"][0]["__address__"] == "127.0.0.3:80")
            await until(lambda: discovered.value("dns_lookup_failures_total"))
        assert discovered.targets["a.test"][0]["__address__"] == "127.0.0.1:80"
        assert caplog.records[0].facts["name"] == "a.test"
        assert discovered.value("refresh_failures_total", mechanism="dns") == 0
        del server.records["a.test."]
        await until(lambda: list(discovered.groups) == ["b.test"])
        server.records["b.test."] = {}
        await until(lambda: not discovered.groups)
    assert discovered.value("dns_lookups_total") > discovered.value("dns_lookup_failures_total") > 0


async def test_a_refresh_in_which_every_lookup_fails_says_nothing_about_targets(discovered, server):
    server.records |= {"a.test.": dns.rcode.SERVFAIL, "b.test.": dns.rcode.REFUSED}
    async with discovered.running("a.test", "b.test"):
        await until(lambda: discovered.value("refresh_failures_total", mechanism="dns"))
        assert discovered.published == 0
        server.records["b.test."] = {"SRV": ["0 0 80 c.test."]}
        await until(lambda: discovered.groups)
        assert list(discovered.groups) == ["b.test"]


async def test_a_long_answer_is_fetched_over_tcp(resolver, server):
    server.records["a.test."] = {"A": [f"127.0.{n // 250}.{n % 250}" for n in range(1000)]}
    server.long.add("a.test.")
    assert len(await resolver().records("a.test", RecordType.A)) == 1000
    assert [protocol for _, _, protocol in server.asked] == ["udp", "tcp"]


async def test_answers_that_nobody_asked_for_are_not_looked_at(resolver, server):
    server.records["a.test."] = {"A": ["127.0.0.1"]}
    server.forged.add("a.test.")
    assert len(await resolver().records("a.test", RecordType.A)) == 1


@pytest.mark.parametrize("rcode", BROKEN)
async def test_the_next_server_is_asked_when_one_fails(resolver, server, rcode, caplog):
    server.records["a.test."] = {"A": ["127.0.0.1"]}
    async with name_server(server.port, "127.0.0.2") as broken:
        broken.records["a.test."] = rcode
        with caplog.at_level(logging.WARNING):
            assert await resolver(servers=("127.0.0.2", "127.0.0.1")).records("a.test", RecordType.A)
    assert caplog.records[0].facts["server"] == "127.0.0.2"
    assert caplog.records[0].facts["error"] == dns.rcode.to_text(rcode)


async def test_the_next_server_is_asked_when_one_is_silent(resolver, server):
    server.records["a.test."] = {"A": ["127.0.0.1"]}
    async with name_server(server.port, "127.0.0.2") as broken:
        broken.silent.add("a.test.")
        assert await resolver(servers=("127.0.0.2", "127.0.0.1")).records("a.test", RecordType.A)
        assert broken.asked


async def test_a_server_that_is_no_address_is_passed_over(resolver, server):
    server.records["a.test."] = {"A": ["127.0.0.1"]}
    assert await resolver(servers=("localhost", "127.0.0.1")).records("a.test", RecordType.A)


async def test_one_server_that_knows_that_a_name_does_not_exist_is_enough(resolver, server):
    assert await resolver(servers=("127.0.0.1", "127.0.0.2")).records("a.test", SRV) == []


async def test_domains_are_searched_until_one_has_the_name(resolver, server):
    server.records["a.two.test."] = {"SRV": []}
    server.records["a."] = {"SRV": ["0 0 80 b."]}
    assert await resolver("search one.test two.test").records("a", SRV) == []
    assert [name for name, _, _ in server.asked] == ["a.one.test.", "a.two.test."]


async def test_a_name_is_unknown_only_when_every_domain_is_sure_of_it(resolver, server):
    lookup = resolver("search one.test two.test")
    assert await lookup.records("a", SRV) == []
    assert [name for name, _, _ in server.asked] == ["a.one.test.", "a.two.test.", "a."]
    server.records["a.one.test."] = dns.rcode.SERVFAIL
    with pytest.raises(LookupFailed, match="at least one search domain"):
        await lookup.records("a", SRV)
    server.records["a.two.test."] = {"SRV": ["0 0 80 b."]}
    assert len(await lookup.records("a", SRV)) == 1


@pytest.mark.parametrize("name", ["a..test", "x" * 64 + ".test", "a." * 200])
async def test_a_name_that_cannot_exist_is_a_failure(resolver, server, name):
    with pytest.raises(LookupFailed):
        await resolver().records(name, SRV)
    assert server.asked == []


async def test_without_resolv_conf_or_servers_lookups_fail(tmp_path, resolver):
    with pytest.raises(LookupFailed, match=r"could not load .*/none: No such file"):
        await Lookup(tmp_path / "none").records("a.test", SRV)
    with pytest.raises(LookupFailed):
        await resolver(servers=()).records("a.test", SRV)


async def test_servers_and_domains_are_those_of_the_file_at_each_lookup(resolver, server):
    server.records["a.test."] = {"SRV": ["0 0 80 b."]}
    lookup = resolver()
    assert await lookup.records("a", SRV) == []
    resolver("search test")
    assert len(await lookup.records("a", SRV)) == 1


def test_a_resolv_conf_is_read_as_the_c_library_reads_it():
    text = """# comment
; comment
nameserver 127.0.0.1
nameserver\t::1 # behind
nameserver
domain first.test
search a.test b.test.
options rotate ndots:3 timeout:1
options ndots:x
unknown line
"""
    conf = ResolvConf.parse(text)
    assert conf == ResolvConf(("127.0.0.1", "::1"), ("a.test", "b.test."), 3)
    assert ResolvConf.parse("search a\ndomain b.test\noptions ndots:99999999") == ResolvConf((), ("b.test",), 15)
    assert ResolvConf.parse("") == ResolvConf()


@pytest.mark.parametrize(
    ("name", "ndots", "expected"),
    [
        ("a.b.", 1, ["a.b."]),
        ("a", 1, ["a.x.test.", "a.y.test.", "a."]),
        ("a.b", 1, ["a.b.", "a.b.x.test.", "a.b.y.test."]),
        ("a.b", 2, ["a.b.x.test.", "a.b.y.test.", "a.b."]),
        ("a", 0, ["a.", "a.x.test.", "a.y.test."]),
    ],
)
def test_names_with_enough_dots_are_asked_for_as_they_are_first(name, ndots, expected):
    assert ResolvConf(search=("x.test", "y.test."), ndots=ndots).candidates(name) == expected
