"""What this server tells beyond the usage API, all under /headcount/v1/.

Takes the same tokens and answers with the same envelope. Counts are JSON numbers here: they stay
below 2^53. Reading takes any token, changing anything takes one of scope `admin`.

    workspace, sources, tokens, links, plan_limits, plan_prices    what the catalog holds
    outcomes                              what became of every message, and why
    libraries                             which tracking libraries sent them
    why                                   to which messages a change of a count is due
    summary, daily, range                 a month in one answer; day by day, as columns; many
    all_months                            totals of the last thirteen months
    cluster                               nodes and partitions, where there are several
    alert_rules, channels, alert_log      what people are told of, where, and what they were
    month_end                             where the month that runs will end
"""

from headcount.api.v1.alert_log import ALERT_LOG_HANDLERS
from headcount.api.v1.alert_rules import ALERT_RULE_HANDLERS
from headcount.api.v1.all_months import MONTHS_HANDLERS
from headcount.api.v1.channels import CHANNEL_HANDLERS
from headcount.api.v1.cluster import CLUSTER_HANDLERS
from headcount.api.v1.daily import DAILY_HANDLERS
from headcount.api.v1.forwarding import FORWARDING_HANDLERS
from headcount.api.v1.libraries import LIBRARY_HANDLERS
from headcount.api.v1.links import LINK_HANDLERS
from headcount.api.v1.month_end import FORECAST_HANDLERS
from headcount.api.v1.outcomes import OUTCOME_HANDLERS
from headcount.api.v1.plan_limits import LIMIT_HANDLERS
from headcount.api.v1.plan_prices import PRICE_HANDLERS
from headcount.api.v1.range import RANGE_HANDLERS
from headcount.api.v1.sources import SOURCE_HANDLERS
from headcount.api.v1.summary import SUMMARY_HANDLERS
from headcount.api.v1.tokens import TOKEN_HANDLERS
from headcount.api.v1.why import EXPLAIN_HANDLERS
from headcount.api.v1.workspace import WORKSPACE_HANDLERS

__all__ = ["V1_HANDLERS"]

V1_HANDLERS = [
    *WORKSPACE_HANDLERS,
    *SUMMARY_HANDLERS,
    *DAILY_HANDLERS,
    *RANGE_HANDLERS,
    *FORECAST_HANDLERS,
    *MONTHS_HANDLERS,
    *OUTCOME_HANDLERS,
    *LIBRARY_HANDLERS,
    *EXPLAIN_HANDLERS,
    *SOURCE_HANDLERS,
    *TOKEN_HANDLERS,
    *LIMIT_HANDLERS,
    *PRICE_HANDLERS,
    *FORWARDING_HANDLERS,
    *LINK_HANDLERS,
    *ALERT_RULE_HANDLERS,
    *CHANNEL_HANDLERS,
    *ALERT_LOG_HANDLERS,
    *CLUSTER_HANDLERS,
]
