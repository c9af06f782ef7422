"""The fault matrix: every check type against every fault, one cell a pair, on the real scheduler.

A test says which cell it is with `@pytest.mark.cell(row, column)`, and lets its check meet the fault in a
`drill`. `make faults` runs all of them and writes the table of `docs/reliability.md`; `make test` leaves out
those that are marked `faults`.
"""
