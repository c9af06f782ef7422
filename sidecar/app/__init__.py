"""The composition root: the only room that knows everybody.

`server` is what a container runs, `once` what the command line asks of the checks, `needs` what a
configuration needs of this machine, and `ending` how the process ends.
"""
