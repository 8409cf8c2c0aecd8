"""What other people's servers say: takes an answer's header or what came in its place, gives what
it means; for whoever tries again, and whoever reads why."""

from __future__ import annotations

import email.utils
import ssl

import urllib3

__all__ = ["retry_after_s", "why_unanswered"]

_DIGITS_MAX = 9


def retry_after_s(header: str | None, now_s: float) -> float | None:
    """For how long a header asks to be left alone, in seconds; None where it does not say.

    Args:
        header: `Retry-After`: a number of seconds, or a date (RFC 9110, section 10.2.3).
        now_s: the time, in seconds since 1970.
    """
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX:
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
        return max(0.0, moment.timestamp() - now_s)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def why_unanswered(error: Exception) -> str:
    """Why there is no answer, as a clause without what was sent.

    Args:
        error: what urllib3, or what lies below it, raised.
    """
    reason: BaseException = error
    while not isinstance(reason, ssl.SSLError | TimeoutError):
        deeper = getattr(reason, "reason", None) or reason.__cause__ or reason.__context__
        if not isinstance(deeper, BaseException):
            break
        reason = deeper
    if isinstance(reason, ssl.SSLError):
        return f"its TLS cannot be trusted or used: {reason.reason or 'SSLError'}"
    if isinstance(reason, urllib3.exceptions.NewConnectionError):
        return f"it cannot be reached: {str(reason).rpartition(': ')[2]}"
    if isinstance(reason, TimeoutError | urllib3.exceptions.TimeoutError):
        return "it does not answer in time"
    if isinstance(reason, OSError) and reason.strerror:
        return f"it cannot be reached: {reason.strerror}"
    return f"its answer is none ({type(reason).__name__})"
