"""Verifying webhooks, as both ways of calling share it: takes what came, gives what it says.

The specification is Standard Webhooks, and it is verified by its own library.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError as Unverified

from .exceptions import ApiValueError

__all__ = ["WebhookVerificationError", "verified"]


class WebhookVerificationError(ApiValueError):
    """What was posted is not signed by who has the secret, or not now, or is no JSON."""


def verified(
    body: bytes | str, headers: Mapping[str, str], secret: str | Sequence[str]
) -> dict[str, Any]:
    """What a webhook says, if it is signed with a secret.

    Raises:
        WebhookVerificationError: it is not.
    """
    secrets = [secret] if isinstance(secret, str) else list(secret)
    if not secrets or not all(secrets):
        raise ApiValueError("a secret is needed to verify a webhook")
    try:
        text = body if isinstance(body, str) else body.decode()
        given = {str(name).lower(): str(value) for name, value in headers.items()}
    except UnicodeDecodeError:
        raise WebhookVerificationError("the body is no text") from None
    why = "no signature is of this secret"
    for each in secrets:
        try:
            verifier = Webhook(each)
        except Exception:  # its kinds differ from one version of the library to another
            raise ApiValueError("that is no secret of a webhook: whsec_ and base64") from None
        try:
            verifier.verify(text, given, json_parse=False)
        except Unverified as error:
            why = str(error)
        except ValueError:  # a header that no signature has, which the library trips over
            why = "its signature is malformed"
        else:
            return _parsed(text)
    raise WebhookVerificationError(why)


def _parsed(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise WebhookVerificationError("the body is no JSON object")
    return found
