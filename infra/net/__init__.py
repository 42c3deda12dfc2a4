"""Nets: made over a boundary, read from and written to files, checked."""
