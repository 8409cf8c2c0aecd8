"""`headcount demo`: shows the whole way of a message with real parts, in a temporary folder.

Starts a server, has made traffic imported by the command line and live messages posted by a real
tracking SDK, reads usage as every command does, and compares it with a naive count of what was
sent.

    traffic    made messages of thirteen months
    expected   the naive count
    live       messages of this moment, posted with segment-analytics-python
    server     a server of its own, and the program's other commands
    readback   rows of usage by day and scope, and how they differ from what was expected
    output     tables and words
    trying     what it suggests to try, as commands that can be pasted
    command    the order of it all
"""
