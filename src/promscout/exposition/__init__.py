"""Scraped bytes to samples: the text format, its series, and which format a response is in. Pure."""
