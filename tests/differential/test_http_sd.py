"""The same server: promscout and Prometheus find the same targets, and ask for them in the same way."""

from __future__ import annotations

from aiohttp import web

from differential.test_file_sd import agreed, has, listed
from e2e.promscout_process import Promscout, until
from harness.list_server import list_server
from unit.discovery.group_lists import BAD_JSON, GOOD_JSON

ERRORS = {
    "404": web.Response(status=404),
    "500": web.Response(status=500, body=b"[]", headers={"Content-Type": "application/json"}),
    "204": web.Response(status=204),
    "type": web.Response(body=b"[]", headers={"Content-Type": "text/plain"}),
    "charset": web.Response(body=b"[]", headers={"Content-Type": "application/json; charset=latin1"}),
}
"""Answers that are failures, not empty lists."""

TYPES = ("application/json", "application/json; charset=utf-8", 'APPLICATION/JSON;charset="UTF-8"')


def configuration(urls, interval="1h"):
    """Jobs that drop all they discover: it is looked at, not scraped."""
    return {
        "scrape_configs": [
            {
                "job_name": name,
                "http_sd_configs": [{"url": url, "refresh_interval": interval}],
                "relabel_configs": [{"action": "drop"}],
            }
            for name, url in urls.items()
        ]
    }


def json_answer(text, content_type="application/json"):
    return web.Response(body=text.encode(), headers={"Content-Type": content_type})


async def test_the_same_answers_are_read_and_the_same_refused(prometheus, tmp_path):
    async with list_server() as server:
        server.answers |= {f"/good/{number}": json_answer(text) for number, text in enumerate(GOOD_JSON)}
        server.answers |= {f"/bad/{number}": json_answer(text) for number, text in enumerate(BAD_JSON)}
        server.answers |= {
            f"/type/{number}": json_answer('[{"targets": ["t"]}]', one) for number, one in enumerate(TYPES)
        }
        server.answers |= {f"/error/{name}": answer for name, answer in ERRORS.items()}
        server.answers |= {"/moved": web.Response(status=302, headers={"Location": "/type/0"})}
        config = configuration({path: server.url + path for path in server.answers})
        theirs = await prometheus(config)
        async with Promscout(tmp_path, config) as ours:
            everything = sum(len(group.targets) for groups in GOOD_JSON.values() for group in groups) + len(TYPES) + 1
            found = await agreed(ours, theirs, lambda found: found.total() == everything)
            assert not [one for one in found if one[0].startswith(("/bad", "/error"))]
            assert await ours.metric("prometheus_sd_http_failures_total") == len(BAD_JSON) + len(ERRORS)


async def test_lists_that_shrink_and_servers_that_fail_have_the_same_targets(prometheus, tmp_path):
    async with list_server() as server:
        server.answers = {"/a?b=c": None, "/a": listed("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3")}
        config = configuration({"job": f"{server.url}/a?b=c"}, "500ms")
        theirs = await prometheus(config)
        async with Promscout(tmp_path, config) as ours:
            assert (await agreed(ours, theirs)).total() == 3
            sent = server.requests[:]
            server.answers["/a"] = listed("127.0.0.1:4")
            await agreed(ours, theirs, lambda found: found.total() == 1)
            for answer in ERRORS.values():
                server.answers["/a"] = answer
                goal = len(server.requests) + 6
                await until(lambda goal=goal: len(server.requests) >= goal, 20, "both have asked again")
                await agreed(ours, theirs, has("127.0.0.1:4"))
            server.answers["/a"] = []
            await agreed(ours, theirs, lambda found: not found)
    asked = {request["User-Agent"].partition("/")[0]: request for request in sent}
    assert asked.keys() == {"Prometheus", "promscout"}
    for name in ("Accept", "X-Prometheus-Refresh-Interval-Seconds", "Host"):
        assert asked["promscout"][name] == asked["Prometheus"][name]
