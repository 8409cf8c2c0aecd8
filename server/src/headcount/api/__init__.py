"""The reading side: usage by day, and what an installation knows of itself, over HTTP.

Takes readings from a store and names from the catalog, hands JSON to clients. Owns the wire
format, authentication, rate limits, pagination, and the OpenAPI description of all of it. Counts
nothing: whatever it says is arithmetic on one reading.

    wire          what all requests and answers have in common
    usage         the four GETs of the usage API
    v1            this server's own additions under /headcount/v1/
    description   /openapi.json
    health        /healthz, /readyz, /metrics
    opened_links  which links open a view of the page
    telemetry     what the API tells Prometheus of itself
    names         names of workspaces and sources, in memory
    services      what the handlers work with
"""

from headcount.api.app import create_app
from headcount.api.opened_links import Links, link_secret
from headcount.api.services import ApiSettings
from headcount.api.wire.gate import bearer_secret
from headcount.api.wire.problems import Problem

__all__ = ["ApiSettings", "Links", "Problem", "bearer_secret", "create_app", "link_secret"]
