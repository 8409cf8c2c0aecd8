"""Webhooks are verified, both ways of calling: what the specification's own library has signed is
taken, and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook

import segment_public_api
from segment_public_api import ApiValueError, webhooks
from segment_public_api.aio import webhooks as aio_webhooks

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
BODY = json.dumps({"type": "headcount.alert", "timestamp": "2026-11-26T08:00:00Z", "data": {}})


async def _given(body: bytes) -> bytes:
    return body


def _awaited(body: Any, headers: Any, secret: Any) -> dict[str, Any]:
    return asyncio.run(aio_webhooks.unwrap(body, headers, secret))


def _awaited_body(body: Any, headers: Any, secret: Any) -> dict[str, Any]:
    data = body if isinstance(body, bytes) else body.encode()
    return asyncio.run(aio_webhooks.unwrap(_given(data), headers, secret))


WAYS: dict[str, Callable[..., dict[str, Any]]] = {
    "sync": webhooks.unwrap, "async": _awaited, "async body": _awaited_body,
}  # fmt: skip


@pytest.fixture(params=WAYS)
def unwrap(request: pytest.FixtureRequest) -> Callable[..., dict[str, Any]]:
    return WAYS[request.param]


def signed(body: str = BODY, *secrets: str, at: datetime | None = None) -> dict[str, str]:
    at = at or datetime.now(UTC)
    signatures = [Webhook(each).sign("evt_1", at, body) for each in secrets or (SECRET,)]
    return {
        "Webhook-Id": "evt_1",
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": " ".join(signatures),
    }


def test_what_is_signed_is_given(unwrap: Callable[..., dict[str, Any]]) -> None:
    assert unwrap(BODY.encode(), signed(), SECRET)["type"] == "headcount.alert"
    assert unwrap(BODY, signed(), SECRET) == json.loads(BODY)


def test_two_signatures_and_two_secrets_are_taken(unwrap: Callable[..., dict[str, Any]]) -> None:
    for secret in (SECRET, OTHER, [OTHER, SECRET]):
        assert unwrap(BODY, signed(BODY, OTHER, SECRET), secret)
    assert unwrap(BODY, signed(BODY, SECRET), [OTHER, SECRET])


@pytest.mark.parametrize(
    ("body", "headers", "secret"),
    [
        (BODY + " ", signed(), SECRET),
        (BODY, signed(), OTHER),
        (BODY, signed(at=datetime.now(UTC) - timedelta(days=1)), SECRET),
        (BODY, signed(at=datetime.now(UTC) + timedelta(days=1)), SECRET),
        (BODY, signed() | {"Webhook-Id": "evt_2"}, SECRET),
        (BODY, signed() | {"Webhook-Signature": "v1"}, SECRET),
        (BODY, signed() | {"Webhook-Signature": "v1,%%%"}, SECRET),
        (BODY, signed() | {"Webhook-Signature": "v2,abc"}, SECRET),
        (BODY, signed() | {"Webhook-Timestamp": "soon"}, SECRET),
        (BODY, {}, SECRET),
        ("[1]", signed("[1]"), SECRET),
        ("nonsense", signed("nonsense"), SECRET),
    ],
)
def test_anything_else_is_refused(
    unwrap: Callable[..., dict[str, Any]], body: str, headers: dict[str, str], secret: str
) -> None:
    with pytest.raises(webhooks.WebhookVerificationError):
        unwrap(body, headers, secret)


@pytest.mark.parametrize("secret", ["", [], "whsec_", "whsec_!"])
def test_without_a_secret_nothing_is_taken(
    unwrap: Callable[..., dict[str, Any]], secret: Any
) -> None:
    with pytest.raises(ApiValueError):
        unwrap(BODY, signed(), secret)


def test_it_is_found_where_it_is_looked_for() -> None:
    assert segment_public_api.webhooks is webhooks
    assert segment_public_api.aio.webhooks is aio_webhooks
    assert webhooks.WebhookVerificationError is aio_webhooks.WebhookVerificationError
