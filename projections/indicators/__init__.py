"""指标 — named, versioned definitions over the facts, each with times of its own and never with "now"."""
