"""Puts the concrete pieces together: which process holds what, and how processes start and end.

Takes settings, gives a running server. The only package that names a store, a journal and an
HTTP server in one place. Imports nothing by itself: each process loads only what its role needs.

    supervisor   starts, watches, restarts and ends the processes of one server
    preparing    the folder in which the processes tell each other things
    task         what the supervisor and its children tell each other
    child        where a child process begins: which role it plays
    lifetime     how a child says that it is ready, and is told to stop
    intake       one intake worker
    meter        the meter's process, and metering a stopped folder to its end
    api          the api process
    backlog      telling how far the meter is behind
    memory       keeping the meter within its memory
    states       which children do their work
    exposition   what all processes say to Prometheus
    known_series the series that begin with zero
    standing     where counting stands
    sources      the catalog's sources, kept in memory and up to date
    journal_sink   where an intake worker's facts become durable
    import_access  who may import over HTTP, and what into
    callers      whose a request to the API address is, and who is turned away
    whole_bodies   bodies on the API address, whole and in time
    storage      storage that refuses, and files that were removed
    endings      how often a child has ended, and what is said of it
    duties       what a process does again and again beside its work
"""
