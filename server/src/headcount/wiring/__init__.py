"""Puts the concrete pieces together: which process holds what, and how processes start and end.

Takes settings, gives a running server. The only package that names a store, a journal and an
HTTP server in one place. Imports nothing by itself: each process loads only what its role needs.

    supervisor   starts, watches, restarts and ends the processes of one server
    task         what the supervisor and its children tell each other
    child        where a child process begins: which role it plays
    lifetime     how a child says that it is ready, and is told to stop
    intake       one intake worker
    meter        the meter's process, and metering a stopped folder to its end
    api          the api process
    sources      the catalog's sources, kept in memory and up to date
    history      who may import over HTTP, and what into
"""
