"""The embedded host: the log in one SQLite file, and everything that runs on it in one process."""
