"""Webhooks of Headcount's alerts: takes what was posted, gives what it says if it is signed."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

from segment_public_api._webhooks import WebhookVerificationError, verified

__all__ = ["WebhookVerificationError", "unwrap"]


async def unwrap(
    payload: bytes | str | Awaitable[bytes],
    headers: Mapping[str, str],
    secret: str | Sequence[str],
) -> dict[str, Any]:
    """What a webhook says: `type`, `timestamp` and `data`.

    Call it with the body as it came, byte for byte: parsed and written again it is another.
    `data["id"]` is the same whenever the same is posted again.

    Args:
        payload: the body, or what gives it when awaited, such as a framework's `request.body()`.
        headers: of the request, in any case.
        secret: the channel's, beginning with `whsec_`; or several while one takes the place of
            another.

    Raises:
        WebhookVerificationError: it is not signed with the secret, is more than five minutes old or
            ahead, or is no JSON object.
        ApiValueError: the secret is none.
    """
    body = await payload if isinstance(payload, Awaitable) else payload
    return verified(body, headers, secret)
