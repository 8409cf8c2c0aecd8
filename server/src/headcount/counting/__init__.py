"""The counting rules, as pure code: facts in, keys and counts out.

Takes facts as arrays and the days they were received; hands candidate keys to the meter and
snapshots to whoever reads. Owns the calendar, the hashing of ids, the shape of a fact, the
first-seen index, the table of metrics, which month is current and where it will end. No clock, no
file, no socket: time is an argument.

Why at-least-once delivery gives exactly-once counts: per period the state is a set of keys,
each with its earliest day. Union and minimum are commutative, associative and idempotent, so a
fact may arrive any number of times, in any order and in any batch, and the state is the same.
"""
