"""Discovery: providers made from the config, and a manager that passes on what changed, per job."""
