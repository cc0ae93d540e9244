"""``dns_sd_configs``: targets listed by name servers."""
