"""`python -m headcount` is the same program as `headcount`."""

from headcount.cli import main

if __name__ == "__main__":
    main()
