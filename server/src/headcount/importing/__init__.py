"""Takes files of past messages, gives facts that are counted on the days they happened.

Reads wherever files lie, however they are compressed, and writes to a journal of its own beside
those of a running server. What a record is, and when it is refused, is intake's to say.

    inputs           the files that somebody names, and those of a folder that are not taken
    objects          those that lie elsewhere
    compression      gzip and zstd as streams
    contents         what is in a file, as bytes of UTF-8
    forms            in which form it holds records; gives these, numbered
    json_layout      whether JSON keeps to lines
    json_values      records in arrays, and one behind the other
    csv_rows         tables in text
    parquet_rows     tables in Parquet
    tables           what their columns are; rows into records
    columns_map      what somebody says about columns and sources
    archive_sources  whose a record is, by the names that a vendor gives
    line_files       records on lines, many at once
    plain_records    records as most are, decoded and hashed many at once
    written_times    times as programs write them, many at once
    admitting        what becomes of these, and of the others one by one
    decoder          a process that decodes and hashes
    decoder_processes  several of them, for a long import
    decoders         what they are asked, and answer
    chunks           records into facts, some thousand at once, each chunk with a checkpoint
    rejects          records that are refused, kept as they came
    first_rows       how the first records were understood
    history          one import: its journal, and the counting of all that it brought
"""
