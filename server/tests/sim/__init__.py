"""A simulation of the whole server: the real intake, journals, meter, store and readers in one
thread, on a clock that the seed sets and a disk that the seed breaks.

A workload generates, faults are injected, and an auditor checks after every step. One seed is one
history: `make sim SEED=n` repeats it and prints what happened.
"""
