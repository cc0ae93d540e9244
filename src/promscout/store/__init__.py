"""The local store: what was scraped, as Parquet files that any tool can read.

The agent appends to a journal (``local``); a child process turns closed segments of it into Parquet (``fold``), so that
the agent neither imports DuckDB nor spends its own time on it. ``database`` reads the files and the journal together.
"""
