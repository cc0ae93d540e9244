"""What Prometheus accepts as service discovery other than Kubernetes's is accepted here, and the other way round."""

from __future__ import annotations

from differential.verdicts import both_verdicts, disagreements

# One *_sd_configs section each, in flow style.
SECTIONS = (
    "file_sd_configs: [{files: [a.json, 'b/*.yml', c.yaml, d.JSON, 'e*f*.YML', '/g/h.json']}]",
    "file_sd_configs: [{files: [a.json], refresh_interval: 10s}]",
    "file_sd_configs: [{files: ['a?[b-c].json']}]",
    "file_sd_configs: [{files: []}]",
    "file_sd_configs: [{files: ~}]",
    "file_sd_configs: [{}]",
    "file_sd_configs: [~]",
    "file_sd_configs: []",
    "file_sd_configs: ~",
    "file_sd_configs: {files: [a.json]}",
    "file_sd_configs: [{files: a.json}]",
    "file_sd_configs: [{files: [a]}]",
    "file_sd_configs: [{files: [a.txt]}]",
    "file_sd_configs: [{files: [a.Json]}]",
    "file_sd_configs: [{files: ['*/a.json']}]",
    "file_sd_configs: [{files: ['*.*']}]",
    "file_sd_configs: [{files: [~]}]",
    "file_sd_configs: [{files: [a.json], refresh_interval: 5}]",
    "file_sd_configs: [{files: [a.json], names: [a]}]",
    "file_sd_configs: [{files: [a.json]}], static_configs: [{targets: [a]}]",
    "http_sd_configs: [{url: 'http://a/b'}]",
    "http_sd_configs: [{url: 'https://a:1/b?c=d', refresh_interval: 1m30s}]",
    "http_sd_configs: [{url: 'https://u:p@a/b'}]",
    "http_sd_configs: [{}]",
    "http_sd_configs: [~]",
    "http_sd_configs: ~",
    "http_sd_configs: [{url: ~}]",
    "http_sd_configs: [{url: ''}]",
    "http_sd_configs: [{url: a/b}]",
    "http_sd_configs: [{url: 'ftp://a'}]",
    "http_sd_configs: [{url: 'http:///b'}]",
    "http_sd_configs: [{url: 'http://a:b'}]",
    "http_sd_configs: [{url: [a]}]",
    "http_sd_configs: [{url: 'http://a', basic_auth: {username: b, password: c}}]",
    "http_sd_configs: [{url: 'http://a', basic_auth: {}, authorization: {}}]",
    "http_sd_configs: [{url: 'http://a', bearer_token: b}]",
    "http_sd_configs: [{url: 'http://a', oauth2: {client_id: b}}]",
    "http_sd_configs: [{url: 'http://a', tls_config: {insecure_skip_verify: true}, follow_redirects: false}]",
    "http_sd_configs: [{url: 'http://a', proxy_url: 'http://p', enable_http2: false}]",
    "http_sd_configs: [{url: 'http://a', no_proxy: b}]",
    "http_sd_configs: [{url: 'http://a', http_headers: {b: {values: [c]}}}]",
    "http_sd_configs: [{url: 'http://a', urls: ['http://a']}]",
    "dns_sd_configs: [{names: [a]}]",
    "dns_sd_configs: [{names: [a, b.c., ''], refresh_interval: 5s, type: SRV}]",
    "dns_sd_configs: [{names: [a], type: srv, port: 70000}]",
    "dns_sd_configs: [{names: [a], type: a, port: 80}]",
    "dns_sd_configs: [{names: [a], type: AAAA, port: 0x50}]",
    "dns_sd_configs: [{names: [a], type: Mx, port: 80}]",
    "dns_sd_configs: [{names: [a], type: NS, port: 80}]",
    "dns_sd_configs: [{names: [a], type: A}]",
    "dns_sd_configs: [{names: [a], type: NS, port: 0}]",
    "dns_sd_configs: [{names: [a], type: TXT, port: 80}]",
    "dns_sd_configs: [{names: [a], type: ''}]",
    "dns_sd_configs: [{names: [a], type: ~}]",
    "dns_sd_configs: [{names: [a], port: '80'}]",
    "dns_sd_configs: [{names: a}]",
    "dns_sd_configs: [{names: []}]",
    "dns_sd_configs: [{type: A, port: 80}]",
    "dns_sd_configs: [{}]",
    "dns_sd_configs: [~]",
    "dns_sd_configs: [{names: [a], server: b}]",
)

STRICTER = {
    "file_sd_configs: [{files: [a.json], refresh_interval: 0s}]": "Prometheus ends when it starts such a discovery",
    "file_sd_configs: [{files: [a.json], refresh_interval: ~}]": "likewise",
    "file_sd_configs: [{files: ['a[.json']}]": "no file could ever match",
    "http_sd_configs: [{url: 'http://a', refresh_interval: 0s}]": "as for files",
    "http_sd_configs: [{url: 'http://a/b c'}]": "not a valid URL",
    "dns_sd_configs: [{names: [a], refresh_interval: 0s}]": "as for files",
    "dns_sd_configs: [{names: [a], type: A, port: 70000}]": "there is no such port",
    "dns_sd_configs: [{names: [a], type: A, port: -1}]": "likewise",
}
"""Accepted by promtool and refused here, with the reason."""


def documents(sections):
    return tuple(f"scrape_configs:\n- {{job_name: a, {section}}}\n" for section in sections)


async def test_the_same_sections_are_accepted(peers_dir, tmp_path):
    assert await disagreements(peers_dir, tmp_path, documents(SECTIONS)) == []


async def test_some_sections_are_refused_here_only(peers_dir, tmp_path):
    theirs, ours = await both_verdicts(peers_dir, tmp_path, documents(STRICTER))
    assert all(theirs)
    assert not any(ours)
