"""``http_sd_configs``: targets listed by a server."""
