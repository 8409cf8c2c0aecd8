"""The command line: takes arguments, hands work to `wiring` and `catalog`, prints what comes back.

Data goes to standard output, messages to standard error. What a person can fix is told in one
sentence with its remedy, and the exit status says which kind it was; owns no data of its own.
"""

from headcount.cli.main import main

__all__ = ["main"]
