"""Scraping: pools of targets, a loop per target, from bytes to batches of samples."""
