"""The order of the demo: server, sources, import, live messages, usage, words."""

from __future__ import annotations

import shlex
import signal
import tempfile
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import click

from headcount.catalog import FROM_THE_BEGINNING, Catalog, PlanLimits
from headcount.clock import now_ms, utc_now
from headcount.config import SETTINGS
from headcount.counting.cost import Price
from headcount.datafolder import open_data_folder
from headcount.demo.expected import Key, Usage, expected_usage
from headcount.demo.live import post_live_messages, tracking_client
from headcount.demo.output import print_heading, print_seen, print_usage
from headcount.demo.readback import RowsOf, differences, read_usage, wait_for_calls
from headcount.demo.server import Addresses, DemoServer, run_command
from headcount.demo.traffic import SOURCES, WEB, Sent, Traffic, made_traffic
from headcount.demo.trying import print_next

__all__ = ["run_demo"]

_WORKSPACE = "Demo shop"
# What the plan allows, as a share of what the month comes to: there is something to say of both.
_CALLS_ALLOWED, _MTU_ALLOWED = 0.96, 1.04
_PRICE = Price(Decimal("5.00"), 1_000, "USD")
_MIDNIGHT_MARGIN = timedelta(seconds=30)


def run_demo(check: bool, rows_of: RowsOf) -> int:
    """Show everything; then keep serving until Ctrl-C, or compare and stop.

    Args:
        check: compare what was read with what was sent, and stop.
        rows_of: how usage is read.

    Returns:
        The exit status: 1 when the comparison failed.

    Raises:
        OperatorError: something that the demo needs is missing or failed.
    """
    tracking_client()
    # Whoever ends the demo otherwise than by Ctrl-C must not leave its server behind either.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="headcount-demo-") as temporary:
        return _Demo(Path(temporary), rows_of).run(check)


class _Demo:
    def __init__(self, temporary: Path, rows_of: RowsOf) -> None:
        self._rows_of = rows_of
        self._temporary = temporary
        self._folder = temporary / "data"
        self._sent: list[Sent] = []
        self._names: dict[str, str] = {}
        self._write_keys: dict[str, str] = {}
        self._token = ""
        self._workspace = 0

    def run(self, check: bool) -> int:
        click.echo("Everything below really runs, in a temporary folder, on this machine alone.")
        self._make_sources()
        print_heading(1, "A server, with a workspace, three sources and an API token")
        server = DemoServer(self._folder, self._temporary / "server.log")
        try:
            # Made while the server starts.
            traffic = made_traffic(utc_now(), self._write_keys)
            self._set_plan(traffic.this_month)
            addresses = server.addresses()
            self._tell_addresses(addresses)
            self._import_history(traffic)
            _wait_over_midnight()
            status = self._go_live(addresses, check)
            if not check:
                server.wait()
        except KeyboardInterrupt:
            if check:
                raise
            click.echo("\nStopping the server.")
            status = 0
        finally:
            server.stop()
        return status

    def _make_sources(self) -> None:
        folder = open_data_folder(self._folder, create=True)
        with Catalog(folder.catalog) as catalog:
            workspace = catalog.add_workspace(_WORKSPACE, now_ms())
            for name in SOURCES:
                source = catalog.add_source(workspace.number, name, now_ms())
                self._names[source.id] = name
                self._write_keys[name] = source.write_key
            self._workspace = workspace.number
            _, self._token = catalog.add_token(workspace.number, "read", now_ms())

    def _set_plan(self, this_month: list[Sent]) -> None:
        with Catalog(open_data_folder(self._folder, create=False).catalog) as catalog:
            catalog.set_plan_limits(
                self._workspace,
                _near_limits(this_month),
                from_day=FROM_THE_BEGINNING,
                now_ms=now_ms(),
            )
            catalog.set_plan_price(
                self._workspace, "api_calls", _PRICE, from_day=FROM_THE_BEGINNING, now_ms=now_ms()
            )

    def _tell_addresses(self, addresses: Addresses) -> None:
        for name, url in addresses._asdict().items():
            default = SETTINGS[name].default
            taken = "" if url.endswith(f"//{default}") else f" ({default} is in use)"
            click.echo(f"   {name:<9} {url}{taken}")
        click.echo(f"   page      {addresses.api}/")
        click.echo(f"   sources   {', '.join(SOURCES)}")

    def _import_history(self, traffic: Traffic) -> None:
        print_heading(2, "Thirteen months of past messages, imported")
        file = self._temporary / "history.ndjson"
        with file.open("w") as history:
            history.writelines(f"{line.text}\n" for line in traffic.history)
        self._sent = [line.sent for line in traffic.history if line.sent is not None]
        # Some of its lines are broken on purpose.
        options = ("--workspace", _WORKSPACE, "--max-rejected", "100")
        click.echo(f"   $ headcount import {file.name} {shlex.join(options)}")
        said = run_command(self._folder, "import", str(file), *options)
        for said_line in said.replace(f"{self._temporary}/", "").splitlines():
            click.echo(f"   {said_line}")

    def _go_live(self, addresses: Addresses, check: bool) -> int:
        today = utc_now().date()
        print_heading(3, "Live messages, posted with segment-analytics-python")
        live = post_live_messages(addresses.tracking, self._write_keys, today)
        self._sent += live
        expected = expected_usage(self._sent, today)
        rows = self._rows_of(addresses.api, self._token)
        click.echo(f"   {len(live)} messages to {len(SOURCES)} sources, some of them twice")
        if not wait_for_calls(rows, today, expected[Key(today, None)].api_calls):
            click.echo("   Not all of them are in the usage API yet; the log may say why.")
        print_heading(4, "Usage, read with segment_public_api")
        months = sorted({key.day.replace(day=1) for key in expected})
        read = read_usage(rows, months[0], months[-1], self._names)
        # A day that began meanwhile has its rows, too.
        expected = expected_usage(self._sent, max(key.day for key in read))
        print_usage(read, months, SOURCES)
        print_seen()
        if check:
            return _compare(expected, read)
        print_next(self._folder, addresses, self._write_keys[WEB], self._token, today)
        return 0


def _near_limits(this_month: list[Sent]) -> PlanLimits:
    """Limits that a month comes near to."""
    last_day = max(message.day for message in this_month)
    end = expected_usage(this_month, last_day)[Key(last_day, None)]
    return PlanLimits(
        mtu=_rounded(end.mtu * _MTU_ALLOWED, 10),
        api_calls=_rounded(end.api_calls * _CALLS_ALLOWED, 100),
    )


def _rounded(number: float, to: int) -> int:
    return round(number / to) * to


def _wait_over_midnight() -> None:
    """Live messages must all be received on one day, or nobody could say on which each was."""
    now = utc_now()
    left = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC) - now
    if left < _MIDNIGHT_MARGIN:
        click.echo(f"\n   Waiting {left.seconds + 1} s for midnight (UTC), when a new day begins.")
        time.sleep(left.total_seconds() + 0.1)


def _compare(expected: dict[Key, Usage], read: dict[Key, Usage]) -> int:
    wrong = list(differences(expected, read))
    click.secho("\nCheck", bold=True)
    if not wrong:
        click.echo(f"  All {len(expected)} rows are what a naive count of the sent messages says.")
        return 0
    click.echo(f"  {len(wrong)} of {len(expected)} rows differ from a naive count:")
    for line in wrong[:20]:
        click.echo(f"    {line}")
    return 1
