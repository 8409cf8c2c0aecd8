"""Settings: what each is called, what it takes, what it is for and its default.

Each setting is defined once, as a field of `Settings` with its default, its parser and its
documentation; the command line, the variables and the file derive their names from it.
`headcount.loading` takes the values from there.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, get_type_hints

from headcount import machine
from headcount.cluster_settings import ClusterSettings
from headcount.setting import ENV_PREFIX, About, Setting
from headcount.setting_values import (
    Address,
    Network,
    a_path,
    a_path_prefix,
    a_text,
    a_url,
    an_address,
    networks,
    one_of,
    size_from,
    switch,
    whole_number,
)

__all__ = [
    "CONFIG_ENV",
    "DEFAULTS",
    "ENV_PREFIX",
    "FORWARD_KEY_ENV",
    "MEMORY_BYTES_MIN",
    "SECRET_ENVS",
    "SERVICE_ENV",
    "SETTINGS",
    "SMTP_ENV",
    "THEIRS_TOKEN_ENV",
    "TOKEN_ENV",
    "Address",
    "Network",
    "Setting",
    "Settings",
]

CONFIG_ENV = "HEADCOUNT_CONFIG"
"""The variable that names the settings file, as `--config` does."""

TOKEN_ENV = "HEADCOUNT_TOKEN"  # noqa: S105 — the name of a variable, not a secret
"""The variable that holds an API token itself; no flag does, since anybody can list those."""

FORWARD_KEY_ENV = "HEADCOUNT_FORWARD_WRITE_KEY"
"""The variable that holds the vendor's write key of a source that is to forward."""

THEIRS_TOKEN_ENV = "HEADCOUNT_THEIRS_TOKEN"  # noqa: S105 — the name of a variable, not a secret
"""The variable that holds the API token for the count that ours is held against."""

SMTP_ENV = "HEADCOUNT_SMTP"
"""The variable that holds the mail server, with its password, of a channel that is added."""

SERVICE_ENV = "HEADCOUNT_CHANNEL_URL"
"""The variable that holds the address of a service of a channel that is added."""

SECRET_ENVS = (TOKEN_ENV, FORWARD_KEY_ENV, THEIRS_TOKEN_ENV, SMTP_ENV, SERVICE_ENV)
"""Variables that are no settings, since single commands alone look at them."""

_WORKERS_DEFAULT_MAX = 4
MEMORY_BYTES_MIN = 128 << 20
"""With less, a meter would have no room for tables."""


_SPOOL_BYTES_MIN = 16 << 20


def _workers_default() -> int:
    # Beyond a few, intake is no longer what limits one machine: the meter is.
    return max(1, min(os.cpu_count() or 1, _WORKERS_DEFAULT_MAX))


def _memory_default() -> int:
    # The other half is for the other processes, and for the system's copies of our files.
    return max(machine.memory_bytes() // 2, MEMORY_BYTES_MIN)


_TRACKING_DEFAULT = Address("127.0.0.1", 8080)
_API_DEFAULT = Address("127.0.0.1", 8081)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(ClusterSettings):
    """What `headcount` runs with; `SETTINGS` describes every field."""

    data: Annotated[
        Path,
        About(
            "DIR",
            a_path,
            "Data folder: everything that Headcount keeps. Made when missing.",
        ),
    ] = Path("headcount-data")

    tracking: Annotated[
        Address,
        About(
            "HOST:PORT",
            an_address,
            "Where tracking SDKs post messages. May face the internet, with TLS or behind a proxy"
            " that has it.",
        ),
    ] = _TRACKING_DEFAULT

    api: Annotated[
        Address,
        About("HOST:PORT", an_address, "Where usage is read, with an API token."),
    ] = _API_DEFAULT

    workers: Annotated[
        int,
        About(
            "N",
            whole_number(1, 64),
            "Intake processes. The default is the number of cores, at most 4.",
            default_varies=True,
        ),
    ] = dataclasses.field(default_factory=_workers_default)

    hash_key: Annotated[
        Path | None,
        About(
            "FILE",
            a_path,
            "File of the secret key under which ids are hashed; made at the first start. The"
            " default is hash.key in the data folder; outside of it, a stolen folder reveals less.",
        ),
    ] = None

    rate_limit_per_minute: Annotated[
        int,
        About("N", whole_number(1, 1_000_000), "Requests that one API token may make in a minute."),
    ] = 60

    memory: Annotated[
        int,
        About(
            "SIZE",
            size_from(MEMORY_BYTES_MIN),
            "Memory that the meter may take, such as 512M or 2G: 100M, and about 36 bytes for each"
            " tracked id of the month and 1.5 for each message id. Near it, posts of sources that"
            " bring new ids are answered 429. The default is half of the machine's or its control"
            " group's, and at least 128M.",
            default_varies=True,
        ),
    ] = dataclasses.field(default_factory=_memory_default)

    source_messages_per_minute: Annotated[
        int | None,
        About(
            "N",
            whole_number(1, 1_000_000_000),
            "Messages that one source may send in a minute; what is more is answered 429. The"
            " default is any number: a source that floods is only kept from hindering the others.",
        ),
    ] = None

    source_ids_per_minute: Annotated[
        int | None,
        About(
            "N",
            whole_number(1, 1_000_000_000),
            "Tracked ids, new in the month, that one source may bring in a minute, as far as they"
            " are counted; after that it is answered 429 until the minute is over. The default is"
            " any number.",
        ),
    ] = None

    forward_spool: Annotated[
        int,
        About(
            "SIZE",
            size_from(_SPOOL_BYTES_MIN),
            "Disk that what waits for the vendor of one source may take, such as 512M or 4G. A"
            " source that is at it does what `headcount source forward --when-full` says.",
        ),
    ] = 1 << 30

    forward_days: Annotated[
        int,
        About(
            "DAYS",
            whole_number(1, 35),
            "How many days a message may wait for the vendor of its source; what is older is not"
            " delivered any more. It is counted all the same.",
        ),
    ] = 7

    # Message ids are dropped 35 days after their month: a longer window could not be kept.
    dedup_window_days: Annotated[
        int,
        About(
            "DAYS",
            whole_number(0, 35),
            "How many days apart two deliveries of one message id may be, across the turn of a"
            " month, and still be one API call.",
        ),
    ] = 35

    idle_timeout_s: Annotated[
        int,
        About(
            "SECONDS",
            whole_number(1, 86_400),
            "How long a connection, to either address, is kept between two requests. It should be"
            " longer than the proxy in front keeps it: else a request now and then meets its end"
            " and becomes a 502.",
        ),
    ] = 620

    tracking_url: Annotated[
        str | None,
        About(
            "URL",
            a_url,
            "Where tracking SDKs reach the tracking address, with its path behind a proxy: shown in"
            " snippets, and told to browsers and apps whatever headers say. The default is the"
            " tracking address itself, or where a request says that it came.",
        ),
    ] = None

    path_prefix: Annotated[
        str | None,
        About(
            "PATH",
            a_path_prefix,
            "What a proxy on a site's own host leaves before every path, such as /analytics. Paths"
            " without it are taken too.",
        ),
    ] = None

    analytics_js: Annotated[
        Path | None,
        About(
            "FILE",
            a_path,
            "The analytics.min.js for Segment's snippet, which asks for it at the tracking address:"
            " dist/umd/standalone.js of the npm package @segment/analytics-next.",
        ),
    ] = None

    tls_cert: Annotated[
        Path | None,
        About(
            "FILE",
            a_path,
            "Certificate chain (PEM) with which both addresses speak TLS; a changed file is taken"
            " up by itself, within a few seconds.",
        ),
    ] = None

    tls_key: Annotated[
        Path | None,
        About("FILE", a_path, "Private key (PEM, without a password) of the certificate."),
    ] = None

    trusted_proxies: Annotated[
        tuple[Network, ...] | None,
        About(
            "ADDRESSES",
            networks,
            "Proxies that say truly how a client came to them: addresses or networks, with commas"
            " between them. X-Forwarded-Proto, -Host, -Prefix and -For of others mean nothing."
            " The default is this machine itself.",
        ),
    ] = None

    metrics_from: Annotated[
        tuple[Network, ...] | None,
        About(
            "ADDRESSES",
            networks,
            "Who is told the usage and the plan of every workspace in /metrics: addresses or"
            " networks, with commas between them. Others are told how the server does, and nothing"
            " of what it counted. The default is this machine itself.",
        ),
    ] = None

    allow_http: Annotated[
        bool,
        About(
            "",
            switch,
            "Speak plain HTTP to other machines too, where neither TLS nor a trusted proxy is"
            " named: write keys, tokens and messages can then be read on the way.",
        ),
    ] = False

    no_event_names: Annotated[
        bool,
        About(
            "",
            switch,
            "Keep no names of events, which `headcount explain` tells apart: for senders that put"
            " ids of people into them.",
        ),
    ] = False

    log_format: Annotated[
        str,
        About(
            "FORMAT",
            one_of("text", "json"),
            "How the server's processes log, to standard error: text, or json, one object a"
            " record.",
        ),
    ] = "text"

    require_existing: Annotated[
        bool,
        About(
            "",
            switch,
            "Refuse to start where there is no data folder yet, rather than make one: for a server"
            " whose disk may not be mounted.",
        ),
    ] = False

    host: Annotated[
        str | None,
        About(
            "HOST",
            a_text,
            "Server whose usage is read: an address such as https://usage.example.com, or us or eu"
            " for Segment's own. The default is the server that runs on the data folder, else the"
            " one at the API address.",
            reading=True,
        ),
    ] = None

    token_file: Annotated[
        Path | None,
        About(
            "FILE",
            a_path,
            "File that holds the API token with which usage is read, and nothing else. The token"
            f" itself may also be the variable {TOKEN_ENV}.",
            reading=True,
        ),
    ] = None


DEFAULTS = Settings()
"""What holds where nobody sets anything."""


def _described() -> dict[str, Setting]:
    described = {}
    hints = get_type_hints(Settings, include_extras=True)
    for name in (*Settings.__annotations__, *ClusterSettings.__annotations__):
        [about] = hints[name].__metadata__
        described[name] = Setting(
            name,
            about.metavar,
            about.parse,
            about.doc,
            getattr(DEFAULTS, name),
            about.reading,
            about.default_varies,
        )
    return described


SETTINGS: Mapping[str, Setting] = _described()
"""Every setting by name, in the order in which help shows them."""
