"""What the sidecar costs, each figure a ratio within one run against the same work done without it."""
