"""Takes tracking requests from SDKs, hands facts and rejection tallies to a `FactSink`.

Owns the tracking API on the wire and the choice, for each message, between admitted and rejected
for a named reason. Knows nothing of counting: whether an admitted message is a duplicate, only
the meter says. Raw ids never leave this package.

    app         the ASGI application
    routes      its addresses
    fast_path   plain messages, answered without the application
    results     how a request came, and what became of what it brought
    tracking    one body in, facts and rejections out
    admission   the rules that a message must meet, and its hashes
    decoding    JSON to `Message`: the fast decoder, then the tolerant one
    scanning    the tolerant decoder's JSON grammar, without recursion
    delimiting  the items of a batch by their brackets alone
    work        what one request may cost, and turns of long work
    lane        large bodies, a few at a time
    receiving   bodies as they come, and who has to go where there is no room
    decompression  bodies unpacked, under bounds
    in_flight   when to turn requests away
    shares      how a bound is shared between sources
    turns       whose request is served next
    budgets     what one source may send
    forwards    what a request leaves to forward
    requests    how many requests were answered, and how
    webhooks    bodies that may be a message, an array, or CloudEvents around them
    documents   what clients ask for before they send, and where it says that this server is
    browser     the settings themselves, and the pixel's message
    answers     statuses, headers and JSON of every answer
    reasons     every refusal, once
    description what the address says about itself
    ports       what the application is given
    asgi        the shapes of the ASGI interface
    records     messages that bring their own time and source, into facts
    occurrences numbers byte-equal records that bring no id
"""

from typing import TYPE_CHECKING

from headcount.intake.ports import FactSink, History, Limits, SourceRef, TokenRef, WriteKeys
from headcount.intake.reasons import EXPLANATIONS, Reason, Refused
from headcount.late import late_names

if TYPE_CHECKING:
    from headcount.intake.app import create_app
    from headcount.intake.budgets import Budgets
    from headcount.intake.documents import Hosting
    from headcount.intake.forwards import Forwards
    from headcount.intake.receiving import BodyReader, ClientGone, Room
    from headcount.intake.records import FindSource
    from headcount.intake.requests import RequestTally
else:
    __getattr__ = late_names(
        __name__,
        {
            "app": "create_app",
            "budgets": "Budgets",
            "documents": "Hosting",
            "forwards": "Forwards",
            "receiving": "BodyReader ClientGone Room",
            "records": "FindSource",
            "requests": "RequestTally",
        },
    )

__all__ = [
    "EXPLANATIONS",
    "BodyReader",
    "Budgets",
    "ClientGone",
    "FactSink",
    "FindSource",
    "Forwards",
    "History",
    "Hosting",
    "Limits",
    "Reason",
    "Refused",
    "RequestTally",
    "Room",
    "SourceRef",
    "TokenRef",
    "WriteKeys",
    "create_app",
]
