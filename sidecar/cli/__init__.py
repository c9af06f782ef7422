"""The verbs: each reads its options, has `app` do the work, and turns the outcome into text and an exit code.

Results go to standard output, progress and errors to standard error. Must decide nothing about checks.
"""
