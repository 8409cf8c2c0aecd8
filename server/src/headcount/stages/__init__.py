"""The data plane of a cluster: partitions fed by a log, in which all is handed on by a chain.

Takes entries out of a node's journals, hands them through a `FactLog` to meters of messages, and
what these leave to meters of ids; gives every node the sum of what all partitions have counted.
Knows nothing of who may count what: it is told epochs (`headcount.cluster`), and publishes nothing
without one.
"""
