"""Tells the kubelet: listeners, probes, rendering.

Reads the board and answers from memory. Must not run a check, nor wait for anything but a drain.
"""
