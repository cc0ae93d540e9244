"""``file_sd_configs``: targets listed in files."""
