"""The composition root: the only room that knows everybody.

`server` is what a container runs and `companions` what goes on beside its checks, `once` what the command
line asks of the checks, `needs` what a configuration needs of this machine, `garbage` when garbage is
collected, and `ending` how the process ends.
"""
