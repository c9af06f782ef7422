"""The in-cluster client: the cluster's API, asked as our pod's service account.

Knows neither board nor checks. Nothing that answers a probe or runs a check waits for it.
"""
