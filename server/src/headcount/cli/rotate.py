"""`headcount rotate-hash-key`: lets another key hash ids from a coming month on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from headcount.cli.options import as_json_option, settings_options
from headcount.clock import now_ms
from headcount.terminal import print_json, print_record, say

if TYPE_CHECKING:
    from headcount.config import Settings

__all__ = ["rotate_hash_key"]


@click.command(
    name="rotate-hash-key",
    epilog="""\b
Examples:
  headcount rotate-hash-key
  headcount rotate-hash-key --data /var/lib/headcount --hash-key /etc/headcount/hash.key""",
)
@settings_options("data", "hash_key")
@as_json_option
def rotate_hash_key(settings: Settings, as_json: bool) -> None:
    """Hash ids under a new secret key, from the next month on that is a day away.

    Changes no count: a month has one key from its first day to its last, and around the turn of a
    month message ids are known under both. Works while the server runs, and while it is stopped.
    The former key stays in the file until all months before are closed, 35 days after the last of
    them at the earliest, and is then taken out; `headcount doctor` says until when it is needed.
    Back up the data folder afterwards: no earlier backup holds the new key.
    """
    from headcount.cluster.catalogs import require_single_machine
    from headcount.datafolder import open_data_folder
    from headcount.wiring.rotating import rotate_hash_key as rotate

    folder = open_data_folder(settings.data, create=False, write=True)
    require_single_machine(
        folder,
        "The hash key of a cluster cannot be rotated",
        "copies of one message that were hashed under two keys would not meet in one partition.",
        "Keep the key, and let fewer read it. To have another one, begin a new cluster with it at"
        " the turn of a month, and point senders there; see docs/cluster.md.",
    )
    rotated = rotate(folder, settings.hash_key, now_ms())
    if as_json:
        print_json(
            {
                "fingerprint": rotated.fingerprint,
                "from": str(rotated.next_from),
                "notCounted": rotated.waiting,
            }
        )
        return
    print_record({"fingerprint": rotated.fingerprint, "from": str(rotated.next_from)})
    if rotated.waiting:
        say(
            f"{rotated.waiting:,} messages wait for a day from {rotated.next_from} on by a clock"
            " that nothing confirms. They are hashed under the present key: when that day comes"
            " they are kept, and not counted."
        )
    say("", "Next: headcount backup DIR (no earlier backup holds the new key).")
