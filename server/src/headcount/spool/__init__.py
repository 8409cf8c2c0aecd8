"""The spool: what sources that forward have brought and their vendors do not hold yet.

Takes the raw messages of requests, sealed, beside the journal's commit; gives them back in the
order in which they became durable, to the one process that delivers them. Owns the only files in
which raw messages stand, and deletes them as they are delivered.

    spool/boot                       tells the clocks of two boots of a machine apart
    spool/<source>/<name>.segment    what one worker has written for one source
    spool/<source>/progress          how far it is delivered, and the vendor's answers

A record names the entry of the journal that its request is counted by. It is written and synced
before that entry is, and stands only if the entry does: a segment's mark says how far that is
known, and beyond it the journal is asked. So neither a kill between the two writes nor one after
them makes the vendor hold what was not counted, or lack what was.

Nothing is imported here: what seals takes memory, which processes that forward nothing do without.
"""
