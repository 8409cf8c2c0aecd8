"""How both addresses speak HTTP: everything between a socket and an ASGI application.

Takes sockets and an application, gives its answers to whoever asks; knows nothing of what they
say. Bounds what connections take, and whom they can keep waiting:

    serving        an application on an inherited socket, until told to stop
    listening      the sockets, which outlive the processes that accept
    accepting      connections without TLS, one after the other
    handshakes     connections with TLS, so many at a time
    certificates   the certificate, read again when it was renewed
    front          what the addresses know of the network around them
    proxies        whose forwarded headers are believed
    connection     one connection and its requests: uvicorn's protocol, changed
    ending         how a connection ends, so that its answer is read
    declined       a request that offered to change to another protocol
    flow           when a connection reads on
    request_target  path and query of a request
    plain_head     a head that is nothing out of the ordinary, and need not be parsed
    cycle          one request and its answer: uvicorn's cycle, changed
    crowd          all connections of a process, and which has to go when there are too many
    refused        what the log says of requests that are refused
    entrance       which requests begin next, owner by owner
    pace           how soon those are answered who bring nothing
    rounds         how much is parsed in one round of the event loop
"""
