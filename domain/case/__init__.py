"""案卷 — the case, as commands → events → state → evolve → decide."""
