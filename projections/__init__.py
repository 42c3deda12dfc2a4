"""The read side: one module per read model, computed from the log and thrown away at will."""
