"""Make one deploy out of many processes: where its record is kept, so that one of them announces.

A store knows nothing of what a record means; it keeps one, and lets nobody overwrite what he has not read.
"""
