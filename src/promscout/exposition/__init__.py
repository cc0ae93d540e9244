"""Scraped bytes to samples: the formats, their series, and which format a response is in. Pure."""
