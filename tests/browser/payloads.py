"""Texts that would run, or break a page apart, wherever they got into HTML unescaped."""

from __future__ import annotations

SCRIPT = "<script>alert('script')</script>"
IMAGE = "\"'><img src=x onerror=alert('image')>"
ENDINGS = "</title></textarea></style></script><svg onload=alert('endings')>"
LINK = "javascript:alert('link')"
TEMPLATE = "{{7*7}}${7*7}{% raw %}"
COMMENT = "<!--<b>"
ALL = (SCRIPT, IMAGE, ENDINGS, LINK, TEMPLATE, COMMENT)
