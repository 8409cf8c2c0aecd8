"""Delivers what the spool holds to the vendors of sources that forward.

Takes letters out of the spool, one source at a time and each in order, and posts them; gives back
what the vendor said. Counting never waits for any of this, and whatever a vendor does, what was
counted stays counted.

    outgoing    a letter as the request that the vendor gets
    vendor      one request to a vendor, and what its answer means
    delivery    one source: what is due, again and again until it is done
"""

from headcount.forwarding.delivery import Delivery, DeliveryLimits

__all__ = ["Delivery", "DeliveryLimits"]
