from __future__ import annotations

import io
import json
import logging
import re

import pytest

from promscout.logs import EventLog, LogFormat, LogLevel, configure_logs


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def written():
    """Configures logs, lets a function log, and gives what is written."""
    root, access = logging.getLogger(), logging.getLogger("aiohttp.access")
    before = root.handlers, root.level, access.level

    def write(log, form=LogFormat.TEXT, level=LogLevel.INFO, stream=None):
        stream = stream or io.StringIO()
        configure_logs(level, form, stream)
        log()
        return stream.getvalue()

    yield write
    root.handlers = before[0]
    root.setLevel(before[1])
    access.setLevel(before[2])


LOG = EventLog("promscout.part")


def without_time(line):
    return re.sub(r"^ts=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z ", "", line)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.5, "1.5"),
        (True, "true"),
        (None, ""),
        ("", ""),
        ("word", "word"),
        ("two words", '"two words"'),
        ("http://a/?b=c", '"http://a/?b=c"'),
        ('say "é"', r'"say \"é\""'),
        ("two\nlines", r'"two\nlines"'),
        ("\x1b[2J", r'"\u001b[2J"'),
        (ValueError("no"), "no"),
    ],
    ids=repr,
)
def test_text_is_logfmt_in_which_no_value_can_look_like_another_field_or_line(value, text, written):
    line = written(lambda: LOG.info("it is so", fact=value))
    assert without_time(line) == f'level=info logger=promscout.part msg="it is so" fact={text}\n'


def test_json_is_an_object_a_line_with_values_of_their_types(written):
    lines = written(lambda: LOG.bind(job="a").warning("it is so", count=1, error=ValueError("no")), LogFormat.JSON)
    fields = json.loads(lines)
    assert fields.pop("ts").endswith("Z")
    assert fields == {
        "level": "warning",
        "logger": "promscout.part",
        "msg": "it is so",
        "job": "a",
        "count": 1,
        "error": "no",
    }


def test_lines_of_libraries_look_the_same(written):
    line = written(lambda: logging.getLogger("library").warning("hello %s", "you"))
    assert without_time(line) == 'level=warning logger=library msg="hello you"\n'


def test_exceptions_are_told_with_their_traceback(written):
    def fail():
        try:
            raise ValueError("no")
        except ValueError:
            LOG.exception("it broke", part=1)

    fields = json.loads(written(fail, LogFormat.JSON))
    assert (fields["level"], fields["part"]) == ("error", 1)
    assert fields["exception"].startswith("Traceback")
    assert fields["exception"].endswith("ValueError: no")
    assert written(fail).count("\n") == 1


def test_an_error_can_be_told_later_than_it_was_caught(written):
    line = written(lambda: LOG.error("it broke", exc_info=ValueError("no")))
    assert 'exception="ValueError: no"' in line


def test_less_severe_lines_are_not_shown(written):
    def log():
        LOG.info("hidden")
        LOG.error("shown")

    assert without_time(written(log, level=LogLevel.WARNING)) == "level=error logger=promscout.part msg=shown\n"


def test_people_get_colours_and_the_exception_below_the_line(written, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    text = written(lambda: LOG.error("it broke", part=1, exc_info=ValueError("no")), stream=Terminal())
    line, exception, end = text.split("\n")
    assert "\x1b[31merror  \x1b[0m \x1b[1mit broke\x1b[0m \x1b[36mpart\x1b[0m=1" in line
    assert (exception, end) == ("ValueError: no", "")


def test_no_color_means_none(written, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    text = written(lambda: LOG.info("it is so", part=1), stream=Terminal())
    assert re.fullmatch(r"\S+ info    it is so part=1 \[promscout\.part\]\n", text)
