"""Decides: when a check flips, what a probe answers, when to ask again.

Pure functions over frozen values. Time comes in as an argument. Nothing here may know of an event loop,
a clock, a log, a socket or a third party.
"""
