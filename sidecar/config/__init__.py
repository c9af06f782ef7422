"""Describes: what a configuration may say, read into frozen values or refused with every problem located.

Knows the keys, kinds and rules; must not know how a check is run or shown.
"""
