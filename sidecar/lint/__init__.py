"""Says where our configuration and the pod that carries it do not fit together, and what to write instead.

It is handed bytes and returns findings; one rule is one function and one section of docs/lint.md. Must
neither ask a cluster nor know how findings are shown.
"""
