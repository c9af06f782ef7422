"""Programs that the benchmarks start: what the sidecar is compared with, and what it asks."""
