"""Managing a workspace: its sources, its API tokens and its plan's limits.

Takes forms, does what they ask through the API, which wants an admin token for every change; then
shows the page again with a sentence about what was done. A secret is shown once.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from litestar import Request, Response, get
from msgspec import UNSET

from headcount.api.v1.plan_limits import LimitsBody
from headcount.api.v1.plan_prices import PricesBody
from headcount.api.v1.sources import SourceBody, SourceListBody
from headcount.api.v1.tokens import NewTokenBody, TokenListBody
from headcount.api.v1.workspace import WorkspaceBody
from headcount.counting.metrics import HEADLINES
from headcount.page.changes import changing
from headcount.page.cluster_state import cluster_sentence
from headcount.page.sessions import Notice
from headcount.page.sharing import read_sharing
from headcount.page.visits import Visit, visit_of

__all__ = ["MANAGING_HANDLERS"]

_SOURCES = "/headcount/v1/sources"
_TOKENS = "/headcount/v1/tokens"
_LIMITS = "/headcount/v1/plan-limits"
_PRICES = "/headcount/v1/plan-prices"
_SEPARATORS = re.compile(r"[\s,._']")
_DIGITS_MAX = 16
_ADMIN = "admin"


@get("/page/manage")
async def manage(request: Request[Any, Any, Any]) -> Response[bytes]:
    visit = visit_of(request)
    workspace = (await visit.ask(WorkspaceBody, "/headcount/v1/workspace")).workspace
    listed = (await visit.ask(SourceListBody, _SOURCES)).sources
    sources = [each for each in listed if each.deleted_at is UNSET]
    tokens = (await visit.ask(TokenListBody, _TOKENS)).tokens
    limits = await visit.ask(LimitsBody, _LIMITS)
    prices = await visit.ask(PricesBody, _PRICES)
    may_change = workspace.token_scope == _ADMIN
    notice = visit.session.take_notice(request.query_params.get("notice", ""))
    return await visit.parts.pages.send(
        request,
        "manage",
        **visit.common(),
        asset=visit.parts.assets.address,
        workspace=workspace,
        sources=sources,
        # The ones that still open the workspace first.
        tokens=sorted(tokens, key=lambda token: not token.valid),
        limits=[(metric, getattr(limits.plan_limits, metric.name)) for metric in HEADLINES],
        dated=limits.dated[::-1],
        prices=[
            (metric, price)
            for metric in HEADLINES
            if (price := getattr(prices.plan_prices, metric.name)) is not None
        ],
        dated_prices=prices.dated[::-1],
        labels={metric.wire: metric.label for metric in HEADLINES},
        may_change=may_change,
        cluster=await cluster_sentence(visit),
        sharing=await read_sharing(visit, request.query_params),
        notice=notice,
    )


@changing("/page/sources")
async def add_source(visit: Visit, form: dict[str, str], _named: str) -> Notice:
    body = {"name": form.get("name", "")}
    made = await visit.ask(SourceBody, _SOURCES, method="POST", body=body)
    return Notice(
        f"{made.source.name} was added and has its own write key. Connect an SDK to it next."
    )


@changing("/page/sources/{named:str}/disable")
async def disable_source(visit: Visit, _form: dict[str, str], named: str) -> Notice:
    source = await _enable(visit, named, enabled=False)
    return Notice(f"{source} is disabled: its messages are refused. What it sent stays counted.")


@changing("/page/sources/{named:str}/enable")
async def enable_source(visit: Visit, _form: dict[str, str], named: str) -> Notice:
    return Notice(f"{await _enable(visit, named, enabled=True)} takes messages again.")


async def _enable(visit: Visit, source_id: str, *, enabled: bool) -> str:
    body = {"enabled": enabled}
    path = f"{_SOURCES}/{source_id}"
    return (await visit.ask(SourceBody, path, method="PATCH", body=body)).source.name


@changing("/page/sources/{named:str}/rotate-key")
async def rotate_key(visit: Visit, _form: dict[str, str], named: str) -> Notice:
    path = f"{_SOURCES}/{named}/rotate-key"
    source = (await visit.ask(SourceBody, path, method="POST")).source
    return Notice(f"{source.name} has a new write key. The former one is refused from now on.")


@changing("/page/sources/{named:str}/rename")
async def rename_source(visit: Visit, form: dict[str, str], named: str) -> Notice:
    body = {"name": form.get("name", "")}
    path = f"{_SOURCES}/{named}"
    source = (await visit.ask(SourceBody, path, method="PATCH", body=body)).source
    return Notice(f"The source is called {source.name} from now on. Its id and key are the same.")


@changing("/page/sources/{named:str}/bots")
async def change_bots(visit: Visit, form: dict[str, str], named: str) -> Notice:
    refused = form.get("refuse") == "yes"
    path = f"{_SOURCES}/{named}"
    asked = {"refusesBots": refused}
    source = (await visit.ask(SourceBody, path, method="PATCH", body=asked)).source
    if refused:
        return Notice(f"{source.name} refuses messages of known bots from now on.")
    return Notice(f"{source.name} counts known bots like anybody from now on.")


@changing("/page/sources/{named:str}/delete")
async def delete_source(visit: Visit, form: dict[str, str], named: str) -> Notice:
    listed = (await visit.ask(SourceListBody, _SOURCES)).sources
    name = next((each.name for each in listed if each.id == named), None)
    if name is not None and form.get("name", "").strip() != name.strip():
        return Notice(f"Nothing was deleted: what you typed is not {name}.", "failed")
    await visit.ask(msgspec.Raw, f"{_SOURCES}/{named}", method="DELETE")
    return Notice(f"{name} is deleted. What it sent stays in the workspace's counts.")


@changing("/page/tokens")
async def add_token(visit: Visit, form: dict[str, str], _named: str) -> Notice:
    expires = form.get("expires", "")
    body = {
        "scope": form.get("scope", ""),
        "expiresAt": f"{expires}T00:00:00Z" if expires else None,
    }
    made = await visit.ask(NewTokenBody, _TOKENS, method="POST", body=body)
    return Notice("Copy the new token now: it is not shown again.", secret=made.secret)


@changing("/page/tokens/{named:str}/revoke")
async def revoke_token(visit: Visit, _form: dict[str, str], named: str) -> Notice:
    await visit.ask(msgspec.Raw, f"{_TOKENS}/{named}", method="DELETE")
    return Notice("The token is revoked. Whoever uses it is refused from now on.")


@changing("/page/plan-limits")
async def set_limits(visit: Visit, form: dict[str, str], _named: str) -> Notice:
    wanted: dict[str, int | None] = {}
    for metric in HEADLINES:
        digits = _SEPARATORS.sub("", form.get(metric.name, ""))
        if digits and not (digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS_MAX):
            return Notice("A limit is a whole number, or empty for none.", "failed")
        wanted[metric.wire] = int(digits) if digits else None
    body = wanted | {"inForceFrom": form.get("from") or None}
    await visit.ask(LimitsBody, _LIMITS, method="PUT", body=body)
    return Notice("The plan's limits are set. Months are judged by those of their own time.")


@changing("/page/plan-limits/{named:str}/take-back")
async def take_back_limit(visit: Visit, _form: dict[str, str], named: str) -> Notice:
    metric, _, day = named.partition("@")
    await visit.ask(msgspec.Raw, f"{_LIMITS}/{metric}/{day}", method="DELETE")
    return Notice("The limit is taken back, and the one before it is in force instead.")


@changing("/page/plan-prices")
async def set_price(visit: Visit, form: dict[str, str], _named: str) -> Notice:
    amount = form.get("amount", "").strip()
    step = _SEPARATORS.sub("", form.get("step", ""))
    if amount and not (step.isascii() and step.isdigit() and len(step) <= _DIGITS_MAX):
        return Notice("A price is for a whole number of them, such as 1,000.", "failed")
    currency = form.get("currency", "").strip().upper()
    price = {"amount": amount, "step": int(step), "currency": currency} if amount else None
    body = {
        "metric": form.get("metric", ""),
        "price": price,
        "inForceFrom": form.get("from") or None,
    }
    await visit.ask(PricesBody, _PRICES, method="PUT", body=body)
    return Notice("The plan's price is set. Months are charged by those of their own time.")


@changing("/page/plan-prices/{named:str}/take-back")
async def take_back_price(visit: Visit, _form: dict[str, str], named: str) -> Notice:
    metric, _, day = named.partition("@")
    await visit.ask(msgspec.Raw, f"{_PRICES}/{metric}/{day}", method="DELETE")
    return Notice("The price is taken back, and the one before it is in force instead.")


MANAGING_HANDLERS = [
    manage,
    add_source,
    disable_source,
    enable_source,
    rotate_key,
    rename_source,
    change_bots,
    delete_source,
    add_token,
    revoke_token,
    set_limits,
    take_back_limit,
    set_price,
    take_back_price,
]
