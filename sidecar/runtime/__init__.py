"""Drives: runs the checks, keeps their states, and carries the process through its phases.

Everything that waits lives here; what to do is decided in `core`. Must not know of HTTP, metrics or of any
one kind of check.
"""
