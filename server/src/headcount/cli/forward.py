"""`headcount source forward`: says where a source's messages are delivered on to, and shows how far
that is.

The vendor's write key is taken from a prompt, a file, the environment or an option, and shown by
nothing.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from headcount.cli.lookup import found_source, opened_catalog
from headcount.cli.options import as_json_option, settings_options, workspace_option
from headcount.clock import now_ms
from headcount.config import FORWARD_KEY_ENV
from headcount.errors import UsageError
from headcount.terminal import moment_text, print_json, print_record, say
from headcount.wording import number_of

if TYPE_CHECKING:
    from headcount.catalog import Catalog, Forwarding, Source, WhenFull
    from headcount.config import Settings

__all__ = ["forward"]


@click.command(
    epilog="""\b
Examples:
  headcount source forward web --to segment --write-key-file vendor.key
  headcount source forward web --to https://dataplane.example.com --when-full stop
  headcount source forward web --show
  headcount source forward web --stop"""
)
@click.argument("source")
@click.option(
    "--to",
    "target",
    metavar="TARGET",
    help="Where to: segment, rudderstack, or the beginning of an address such as"
    " https://dataplane.example.com.",
)
@click.option(
    "--write-key",
    metavar="KEY",
    help="The vendor's write key. Others on this machine can see options: better the variable"
    f" {FORWARD_KEY_ENV}, a file, or the prompt that asks for it.",
)
@click.option(
    "--write-key-file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="File that holds the vendor's write key, and nothing else.",
)
@click.option(
    "--when-full",
    type=click.Choice(["refuse", "stop"]),
    help="When what waits takes all the room of --forward-spool: refuse the source's messages with"
    " 429, which senders send again; or count them and forward no more, until --start.  [default:"
    " refuse]",
)
@click.option("--show", is_flag=True, help="Show where to, how far, and what the vendor said.")
@click.option("--start", is_flag=True, help="Forward again what comes from now on.")
@click.option("--stop", is_flag=True, help="Forward no more; what waits is still delivered.")
@click.option("--drop", is_flag=True, help="Forward no more, and drop what waits.")
@workspace_option(required=False)
@settings_options("data", "hash_key")
@as_json_option
def forward(
    settings: Settings,
    source: str,
    target: str | None,
    write_key: str | None,
    write_key_file: Path | None,
    when_full: str | None,
    show: bool,
    start: bool,
    stop: bool,
    drop: bool,
    workspace: str | None,
    as_json: bool,
) -> None:
    """Deliver what SOURCE (an id or a name) sends on to a vendor, once it is counted.

    Every request is kept, sealed, until the vendor has taken it, and delivered in order with
    retries, unchanged but for the write key. What was imported is not forwarded. A running server
    takes this up within a second.
    """
    acts = [show, start, stop, drop, target is not None]
    if sum(acts) != 1:
        raise UsageError(
            "It is not clear what to do.",
            "Give one of --to, --show, --start, --stop and --drop.",
        )
    with opened_catalog(settings) as catalog:
        found = found_source(catalog, source, workspace)
        if target is not None:
            _set(settings, catalog, found, target, write_key, write_key_file, when_full)
        elif start:
            catalog.set_forwarding_state(found.number, "on", now_ms())
        elif stop or drop:
            catalog.set_forwarding_state(found.number, "off" if drop else "ending", now_ms())
        forwarding = catalog.forwarding(found.number)
    _print(settings, found, forwarding, as_json)


def _set(
    settings: Settings,
    catalog: Catalog,
    source: Source,
    target: str,
    write_key: str | None,
    file: Path | None,
    when_full: str | None,
) -> None:
    from headcount.datafolder import DataFolder
    from headcount.forwarding_targets import target_url
    from headcount.spool.spool_key import load_spool_key, spool_key_place

    url = target_url(target, by_token=False)
    former = catalog.forwarding(source.number)
    if when_full is None:
        when_full = "refuse" if former is None else former.when_full
    key = _vendor_key(write_key, file)
    # Made now, so that whoever has no right to make it hears of it, and no message waits for it.
    load_spool_key(spool_key_place(DataFolder(settings.data), settings.hash_key))
    catalog.set_forwarding(
        source.number, url, key, cast("WhenFull", when_full), now_ms(), by_token=False
    )


def _vendor_key(given: str | None, file: Path | None) -> str:
    from headcount.forwarding_targets import checked_vendor_key

    if given is not None and file is not None:
        raise UsageError("The write key is given twice.", "Give --write-key or --write-key-file.")
    if file is not None:
        try:
            text = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            said = error.strerror if isinstance(error, OSError) else "it is no text"
            raise UsageError(
                f"The file {file} of the vendor's write key cannot be read: {said}.",
                "Name a file that holds the key, and nothing else.",
            ) from None
        return checked_vendor_key(text)
    if given is None:
        given = os.environ.get(FORWARD_KEY_ENV)
    if given is None and sys.stdin.isatty():
        given = str(click.prompt("Write key of the vendor", hide_input=True, err=True))
    if given is None:
        raise UsageError(
            "The vendor's write key is missing.",
            f"Give --write-key-file FILE, or set {FORWARD_KEY_ENV} to it.",
        )
    return checked_vendor_key(given)


def _print(
    settings: Settings, source: Source, forwarding: Forwarding | None, as_json: bool
) -> None:
    told = _told(settings, source, forwarding)
    if as_json:
        print_json(told)
        return
    if forwarding is None:
        say(f"{source.name} forwards nothing.")
        return
    record = {
        "source": source.name,
        "forwards to": forwarding.url,
        "state": _STATES[told["state"]],
        "when full": forwarding.when_full,
        "waiting": str(told["sentence"]),
    }
    for outcome, tally in told["outcomes"].items():
        messages = number_of(tally["messages"], "message")
        record[outcome] = f"{number_of(tally['requests'], 'request')}, {messages}"
    for each in told["refusedByStatus"]:
        record[f"refused with {each['status']}"] = number_of(each["requests"], "request")
    print_record(record)


_STATES = {
    "on": "on",
    "ending": "stopped; what waits is delivered",
    "off": "stopped",
    "stopped": "stopped, since there was no room; --start goes on",
    "none": "none",
}


def _told(settings: Settings, source: Source, forwarding: Forwarding | None) -> dict[str, Any]:
    from headcount.datafolder import DataFolder, FolderLock
    from headcount.forwarding_status import ForwardingStatus
    from headcount.runfiles import read_whole
    from headcount.spool.delivered import read_progress
    from headcount.spool.segment_files import folder_of_source
    from headcount.spool.sizes import bytes_of
    from headcount.spool.stops import read_stop

    folder = DataFolder(settings.data)
    place = folder_of_source(folder.spool, source.number)
    progress = read_progress(place)
    live = next(
        (
            each
            for each in read_whole(folder.forwarding, list[ForwardingStatus]) or []
            # What a server has left behind that runs no more says nothing of now.
            if each.source == source.number and FolderLock.held(folder.serve_lock)
        ),
        None,
    )
    waiting = bytes_of(folder.spool, source.number)
    state, stopped_at_ms = "none", None
    if forwarding is not None:
        state = forwarding.state
        stop = read_stop(place, forwarding.changes) if state == "on" else None
        if stop is not None:
            state, stopped_at_ms = "stopped", stop.stopped_at_ms
    sentence = f"Up to {waiting:,} bytes wait." if waiting else "Nothing waits."
    return {
        "sourceId": source.id,
        "state": state,
        "to": None if forwarding is None else forwarding.url,
        "whenFull": None if forwarding is None else forwarding.when_full,
        "stoppedAt": moment_text(stopped_at_ms),
        "waitingMessages": None if live is None else live.waiting_messages,
        "waitingBytes": waiting if live is None else live.waiting_bytes,
        "behindSeconds": None if live is None else live.behind_ms / 1000,
        "sentence": sentence if live is None else live.sentence,
        "outcomes": {
            outcome: {"requests": tally.requests, "messages": tally.messages}
            for outcome, tally in progress.tallies.items()
        },
        "refusedByStatus": [
            {"status": status, "requests": tally.requests, "messages": tally.messages}
            for status, tally in sorted(progress.refused.items())
        ],
    }
