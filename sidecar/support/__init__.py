"""Helps: small things that know nothing of checks.

Must not import any other room.
"""
