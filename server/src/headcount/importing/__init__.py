"""Takes files of past messages, gives facts that are counted on the days they happened.

Reads wherever files lie, however they are compressed, and writes to a journal of its own beside
those of a running server. What a record is, and when it is refused, is intake's to say.

    inputs        the files that somebody names
    objects       those that lie elsewhere
    compression   gzip and zstd as streams
    chunks        lines into facts, some thousand at once, each chunk with a checkpoint
    rejects       lines that are refused, kept as they came
    history       one import: its journal, and the counting of all that it brought
"""
