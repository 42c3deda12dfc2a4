"""Every edge of the process: hosts, databases, HTTP, command line, simulator, and the one composition root."""
