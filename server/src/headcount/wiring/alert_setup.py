"""What people want to be told of, as the meter asks for it: takes the catalog, gives rules.

Read anew only when the catalog has changed. What cannot be read stays as it was read last; what is
wrong with the catalog is said by those who look up keys and tokens in it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from headcount.catalog import (
    AlertRuleRecord,
    Catalog,
    DatedLimit,
    QuotaRecord,
    Source,
    limits_on,
)
from headcount.counting.alerts import AlertRule, AlertSetup, Quota, parse_threshold
from headcount.errors import DataFolderError

__all__ = ["CatalogAlerts"]


class CatalogAlerts:
    """The rules and quotas of a catalog.

    Args:
        catalog: open.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._version = -1
        self._setup = AlertSetup()
        self._made_of: object = None

    def __call__(self) -> AlertSetup:
        """The rules now: the same object while none has changed."""
        with contextlib.suppress(DataFolderError):
            version = self._catalog.version()
            if version != self._version:
                self._read()
                self._version = version
        return self._setup

    def _read(self) -> None:
        catalog = self._catalog
        workspaces = {each.number: each.name for each in catalog.workspaces()}
        sources = catalog.sources()
        # Nothing comes from a deleted source, and nobody is to be told so.
        deleted = {each.number for each in sources if each.deleted_at_ms is not None}
        records = [
            each
            for each in catalog.alert_rules()
            if each.enabled and each.workspace in workspaces and each.source not in deleted
        ]
        channels = [each for each in catalog.channels() if each.state != "gone"]
        of_workspace: dict[int, tuple[int, ...]] = {}
        for channel in channels:
            held = of_workspace.get(channel.workspace, ())
            of_workspace[channel.workspace] = (*held, channel.number)
        rules = tuple(_rule(each, of_workspace.get(each.workspace, ())) for each in records)
        judged = {each.workspace for each in records}
        limits = {number: catalog.dated_limits(number) for number in judged}
        owner = {source.number: source for source in sources}
        quotas = tuple(
            _quota(each, owner[each.source], workspaces)
            for each in catalog.quotas()
            if each.source in owner
        )
        # Most changes of the catalog, such as a delivery that is noted, are none of these.
        if (made_of := (rules, limits, quotas)) == self._made_of:
            return
        self._made_of = made_of

        def limit_of(workspace: int, metric: str, day: int) -> int | None:
            dated: list[DatedLimit] = limits.get(workspace, [])
            return limits_on(dated, day).get(metric)

        self._setup = AlertSetup(rules, limit_of, quotas)


def _rule(record: AlertRuleRecord, all_channels: tuple[int, ...]) -> AlertRule:
    return AlertRule(
        record.number, record.id, record.name, record.workspace, record.source or 0, record.kind,
        record.metric,
        tuple(parse_threshold(text, record.metric) for text in record.thresholds),
        record.quiet_hours,
        tuple(each for each in all_channels if not record.channels or each in record.channels),
    )  # fmt: skip


def _quota(record: QuotaRecord, source: Source, workspaces: Mapping[int, str]) -> Quota:
    workspace = workspaces.get(source.workspace)
    return Quota(
        source.workspace, source.number, record.metric, record.amount,
        record.past,  # type: ignore[arg-type]
        source.name if workspace is None else f"{source.name} of {workspace}",
    )  # fmt: skip
