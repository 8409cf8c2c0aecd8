"""The control plane of a cluster: which nodes there are, who counts which partition, one catalog.

Takes a registry (`headcount.engines`), gives owners with epochs, leases, and checked copies.

Owns the documents in the registry and what a node remembers of them; neither facts nor counts.
"""
