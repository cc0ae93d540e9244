"""Discovery served to other Prometheus servers: what a job has found, as ``http_sd`` and ``file_sd`` have it."""
