"""Who may send and who may read: workspaces, sources, write keys, API tokens, links, plan limits.

Takes names and numbers from the command line and the API, hands records to intake (write keys),
api (tokens, names, limits) and cli. Owns `catalog.sqlite` and the numbers that facts and counts
carry in place of names. Knows nothing of counting.
"""

from headcount.catalog.alert_entities import (
    NO_CHANNEL,
    AlertRuleRecord,
    Attempt,
    Channel,
    ChannelKind,
    DeliveryRecord,
    DeliveryState,
    DigestWhen,
    NewDelivery,
    QuotaRecord,
)
from headcount.catalog.delivery_log import WAITING_MAX
from headcount.catalog.entities import (
    FROM_THE_BEGINNING,
    DatedLimit,
    DatedPrice,
    Deletion,
    Forwarding,
    ForwardingState,
    HashKeys,
    Link,
    PlanLimits,
    Scope,
    Source,
    Token,
    View,
    WhenFull,
    Workspace,
)
from headcount.catalog.plans import LIMIT_MAX, limits_on, prices_on
from headcount.catalog.signed_out import SignedOutRow, SignedOutSessions
from headcount.catalog.sqlite import Catalog

__all__ = [
    "FROM_THE_BEGINNING",
    "LIMIT_MAX",
    "NO_CHANNEL",
    "WAITING_MAX",
    "AlertRuleRecord",
    "Attempt",
    "Catalog",
    "Channel",
    "ChannelKind",
    "DatedLimit",
    "DatedPrice",
    "Deletion",
    "DeliveryRecord",
    "DeliveryState",
    "DigestWhen",
    "Forwarding",
    "ForwardingState",
    "HashKeys",
    "Link",
    "NewDelivery",
    "PlanLimits",
    "QuotaRecord",
    "Scope",
    "SignedOutRow",
    "SignedOutSessions",
    "Source",
    "Token",
    "View",
    "WhenFull",
    "Workspace",
    "limits_on",
    "prices_on",
]
