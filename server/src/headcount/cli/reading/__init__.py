"""Reading usage for commands: takes settings, gives rows out of `segment_public_api`.

`api_connection` finds the server and the token and words what goes wrong, `usage_rows` reads
months, `own` asks for what only Headcount answers, `writers` puts rows into a format, and `target`
into a file.
Nothing in here looks into a data folder but for the address of the server that runs on it.
"""
