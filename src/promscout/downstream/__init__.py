"""Discovery for other servers: what was found, as lists of targets that an unmodified Prometheus reads.

``Listings`` makes the lists that are asked for over HTTP, ``FileSDWriter`` keeps files with the same content, and
``scrape_configs`` writes the configuration of a Prometheus that reads either.
"""
