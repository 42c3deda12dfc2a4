"""性能测试 — what the product does, measured in one run next to what the same machine could do; writes docs/benchmarks.md."""
