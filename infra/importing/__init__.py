"""导入 — a city's history: read from a table of its own, and replayed at its own times."""
