"""Remote write: what happens to samples after a scrape."""
