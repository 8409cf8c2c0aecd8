"""The page for people: usage at a glance, sources and tokens to manage, in a browser.

Takes form posts and cookies from browsers, asks the API in the same process with the token that
the person signed in with, gives HTML. Owns sessions and how figures read. Has no way to the data
of its own, counts nothing, and fetches nothing from other hosts.

    app        routes, the security headers of every answer, what a failure looks like
    asking     asking the API, in the process, as any client would
    sessions   who is signed in, with which tokens; sealed_sessions for all nodes of a cluster
    visits     one request of somebody who is signed in; where forms may come from
    login      signing in and out
    dashboard  a month's usage
    one_source    a source's month
    one_month     what both share, and keeping an open page up to date
    cards, listings, drawings, figures, attention    what stands on them
    taking_along  the tables as CSV
    docs, descriptions    what both addresses say about themselves, for people
    managing, sharing, changes    sources, tokens and plan limits; links; the forms' way
    link_visits    views that a link opens, without a token
    comparing  a month beside another
    assets     style, script, icon, and the library that draws charts
    pages      templates and how HTML is sent
"""

from headcount.page.app import PAGE_STATUSES, create_page, is_of_page
from headcount.page.sealed_sessions import (
    SESSION_MS_MAX,
    EndedSession,
    SealedSessions,
    session_key,
)
from headcount.page.sessions import MemorySessions, Sessions
from headcount.page.visits import workspace_seen

__all__ = [
    "PAGE_STATUSES",
    "SESSION_MS_MAX",
    "EndedSession",
    "MemorySessions",
    "SealedSessions",
    "Sessions",
    "create_page",
    "is_of_page",
    "session_key",
    "workspace_seen",
]
