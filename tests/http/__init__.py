"""The HTTP edge over the real embedded host."""
