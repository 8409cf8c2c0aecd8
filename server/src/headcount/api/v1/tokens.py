"""The API tokens of a workspace: list, make, revoke. A secret is shown once, when it is made."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response
from msgspec import UNSET, Meta, UnsetType

from headcount.api.wire.context import caller_of
from headcount.api.wire.contract import Contract, answer, body_of, endpoint
from headcount.api.wire.problems import Problem, invalid
from headcount.catalog import Token
from headcount.counting.calendar import moment_text, parse_moment_ms

__all__ = ["TOKEN_HANDLERS", "Moment", "future_ms"]

Moment = Annotated[str, Meta(description="RFC 3339, UTC.")]


class TokenRecord(msgspec.Struct, rename="camel"):
    """A token, without its secret."""

    id: str
    scope: Literal["read", "admin"]
    created_at: Moment
    valid: Annotated[bool, Meta(description="Neither expired nor revoked.")]
    expires_at: Moment | UnsetType = UNSET
    revoked_at: Moment | UnsetType = UNSET


class TokenListBody(msgspec.Struct):
    """All tokens of the workspace."""

    tokens: list[TokenRecord]


class TokenListAnswer(msgspec.Struct):
    """All tokens of the workspace, expired and revoked ones too, oldest first."""

    data: TokenListBody


class TokenBody(msgspec.Struct):
    """One token."""

    token: TokenRecord


class TokenAnswer(msgspec.Struct):
    """One token."""

    data: TokenBody


class NewTokenBody(msgspec.Struct):
    """A token and its secret."""

    token: TokenRecord
    secret: Annotated[str, Meta(description="What to send as the bearer; not shown again.")]


class NewTokenAnswer(msgspec.Struct):
    """A token and its secret."""

    data: NewTokenBody


class NewToken(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A token to make."""

    scope: Annotated[Literal["read", "admin"], Meta(description="admin may change things.")]
    expires_at: (
        Annotated[
            str,
            Meta(
                description="RFC 3339 with a zone; without it the token does not expire.",
                extra_json_schema={"format": "date-time"},
            ),
        ]
        | None
    ) = None


def _record(token: Token, now_ms: int) -> TokenRecord:
    return TokenRecord(
        token.id,
        token.scope,
        moment_text(token.created_at_ms),
        token.valid_at(now_ms),
        UNSET if token.expires_at_ms is None else moment_text(token.expires_at_ms),
        UNSET if token.revoked_at_ms is None else moment_text(token.revoked_at_ms),
    )


@endpoint(
    "GET",
    "/headcount/v1/tokens",
    Contract(
        name="listTokens",
        summary="All tokens",
        description="All tokens of the workspace, without their secrets, which nobody can read.",
        tag="Tokens",
        answer=TokenListAnswer,
    ),
)
def list_tokens(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    now_ms = caller.services.clock()
    tokens = caller.services.catalog.tokens(caller.workspace.number)
    return answer(TokenListAnswer(TokenListBody([_record(token, now_ms) for token in tokens])))


@endpoint(
    "POST",
    "/headcount/v1/tokens",
    Contract(
        name="addToken",
        summary="Make a token",
        description="The secret is in this answer and nowhere else.",
        tag="Tokens",
        answer=NewTokenAnswer,
        body=NewToken,
        status=201,
        errors=(413, 422),
        access="admin",
    ),
)
async def add_token(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    new = await body_of(request, NewToken)
    now_ms = caller.services.clock()
    expires_at_ms = None if new.expires_at is None else future_ms(new.expires_at, now_ms)
    token, secret = caller.services.catalog.add_token(
        caller.workspace.number, new.scope, now_ms, expires_at_ms
    )
    return answer(NewTokenAnswer(NewTokenBody(_record(token, now_ms), secret)))


@endpoint(
    "DELETE",
    "/headcount/v1/tokens/{token_id:str}",
    Contract(
        name="revokeToken",
        summary="Revoke a token",
        description="From then on it is answered 401. Revoking again changes nothing.",
        tag="Tokens",
        answer=TokenAnswer,
        errors=(404,),
        access="admin",
    ),
)
def revoke_token(request: Request[Any, Any, Any]) -> Response[bytes]:
    caller = caller_of(request)
    now_ms = caller.services.clock()
    token = caller.services.catalog.revoke_token(
        caller.workspace.number, request.path_params["token_id"], now_ms
    )
    if token is None:
        raise Problem(404, "This workspace has no token of that id.", field="tokenId")
    return answer(TokenAnswer(TokenBody(_record(token, now_ms))))


def future_ms(text: str, now_ms: int) -> int:
    """The moment at which something is to expire.

    Raises:
        Problem: 422 when it is none, or has passed.
    """
    try:
        moment_ms = parse_moment_ms(text)
    except ValueError:
        raise invalid(
            "expiresAt", "must be a date-time with a zone, such as 2030-01-01T00:00:00Z."
        ) from None
    if moment_ms <= now_ms:
        raise invalid("expiresAt", "lies in the past; name a moment to come.")
    return moment_ms


TOKEN_HANDLERS = [list_tokens, add_token, revoke_token]
