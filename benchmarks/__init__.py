"""What the sidecar costs and how soon it knows: `python -m benchmarks [--quick] [QUESTION ...]`.

A module a question: `probe`, `cost`, `sweep`, `latency`, `weight`, `start`, `scale`, `fleet`. Each speed is a
ratio within one run, of medians over repeats by turns, against the same work without us, and against a peer
where Debian packages one. `rows` has the shape of the answers, `report` and `plot` show them; what is started
lies in `servers` and `programs`, what is read of a process in `process`.
"""
