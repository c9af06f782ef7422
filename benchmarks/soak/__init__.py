"""`make soak`: does a run leave anything behind? Many runs of every type, in compressed time.

`targets` are what the checks ask: up, hung, flapping, garbage. `driver` is the process that is measured: the
real scheduler, board and checks of all types together, on a loop whose seconds are short. `report` judges its
figures, and shows them. `python -m benchmarks.soak TYPE` runs the checks of one type alone, which finds a
culprit.
"""
