"""The benchmark: takes this machine, gives rates, costs and ratios; refuses inexact counts.

Everything is measured on real processes over real sockets, each rate beside its bound in the same
run, because a shared machine makes figures drift and leaves ratios alone.

    traffic      bodies as analytics-python posts them, patched so that every message is new
    load         a closed-loop load generator over raw sockets
    bare         the bound: the same HTTP stack around nothing but decoding
    server       a real server on a temporary folder, and what its processes use
    probe        acknowledged-to-visible lag, from a process of its own
    volume       millions of ids, written to a journal as intake would
    throughput   scenarios that send messages
    capacity     scenarios with many keys: memory, disk, reads, starts
    sdk_calls    what a call of the client costs
    sdk_beside   the same beside other clients
    sdk_import   what importing the client costs
    contest/     Headcount beside the meters that teams build, by the same rules
    report       the table, on the screen and as a dated file under results/
    machine      what the machine is
"""
