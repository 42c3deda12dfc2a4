"""Beeline's tests."""
