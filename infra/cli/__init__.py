"""The command line: `beeline …`."""
