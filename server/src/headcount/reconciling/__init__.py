"""Two counts of one month, side by side: takes ours and theirs, gives where and why they differ.

Pure but for `statement`, which reads a file, and `archive` and `ids`, which read a data folder and
an archive of messages. What is read over HTTP, and how differences are shown, is the command's.

    counts      a month of one side: running totals by day, of the workspace and its sources
    statement   a CSV of an invoice, or an export, as a side: what its columns are (headings), what
                day a row is about (row_times, times), and its numbers (cells)
    aligning    which source of theirs is which of ours
    differing   what differs, by source and day, and whether it is within a tolerance
    causes      what may have caused it
    archive     an archive of messages, counted by our own rules, as a side
    ids         which ids make the difference to an archive up
"""
