"""Headcount: a self-hosted meter of API calls and monthly tracked users.

Data walks from left to right: a tracking SDK posts to `intake`, which leaves facts in the
`journal`; the `meter` folds them (`counting` holds the pure rules) and commits keys and counts
to the `store`; `api` and `cli` read snapshots from there. `catalog` knows workspaces, sources
and tokens; `wiring` puts the concrete pieces together into processes.
"""

__version__ = "0.1.0"
