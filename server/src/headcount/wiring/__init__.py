"""Puts the concrete pieces together: which process holds what, and how processes start and end.

Takes settings, gives a running server. The only package that names a store, a journal and an
HTTP server in one place.

    supervisor   starts, watches, restarts and ends the processes of one server
    listening    the sockets of the tracking and the API address
    child        where a child process begins: which role it plays, and how it is told to stop
    intake       one intake worker
    metering     the meter's process, and metering a stopped folder to its end
    api          the api process
    write_keys   the catalog's write keys, kept in memory and up to date
"""

from headcount.wiring.metering import meter_until_drained
from headcount.wiring.supervisor import serve

__all__ = ["meter_until_drained", "serve"]
