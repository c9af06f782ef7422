"""What serves the people who build the sidecar: real servers for tests and demo, and the demo itself."""
