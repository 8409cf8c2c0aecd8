"""How Headcount uses SQLite: one way, for journals, stores and catalogs alike.

Takes paths and tables, gives connections that stand in one place, and rows that are checked:

    opening      a database to write, and its transactions
    reading      a database as it is at one moment, read or copied
    parts        whether a database is the part of the folder that belongs there
    rows         rows that carry a checksum, and the ledger of how many there are
    unwritable   a database on a disk that takes no writes
"""
