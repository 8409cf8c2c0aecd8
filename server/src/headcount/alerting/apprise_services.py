"""One telling through Apprise: takes the address of a service, gives what became of it.

Apprise knows Slack, Teams, Telegram, phones and a hundred more; it is an extra. What its plug-ins
wait for has no end where a service trickles, and they share few threads, so a process tells each
and ends, by itself too when its time is over. `python -m headcount.alerting.apprise_services`
reads what is told from standard input, and writes what became of it to standard output.
"""

from __future__ import annotations

import importlib.util
import logging
import math
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Sequence
from typing import Any

import msgspec

from headcount.alerting.channels import AppriseConfig
from headcount.alerting.notice_page import AlertNotice
from headcount.alerting.webhook_posts import ReceiverAnswer
from headcount.errors import UsageError
from headcount.extras import install_command

__all__ = ["require_service", "tell_service"]

_TEXT_MAX = 3_000
_WITHIN_S = 30.0
# Each takes 50 MB.
_AT_ONCE_MAX = 8
_turns = threading.BoundedSemaphore(_AT_ONCE_MAX)


class _Telling(msgspec.Struct, frozen=True):
    """What a process is told to tell."""

    url: str
    title: str
    text: str
    is_alert: bool


class _Became(msgspec.Struct, frozen=True):
    """What became of it."""

    taken: bool
    said: str


def require_service(config: AppriseConfig) -> None:
    """See that Apprise is there and knows a service.

    Raises:
        UsageError: it is not, or does not.
    """
    apprise = _apprise()
    if apprise is None:
        raise UsageError(
            "Services such as Slack are told through Apprise, which is not installed.",
            f"Install it: {install_command('alerts')}",
        )
    with warnings.catch_warnings():
        # Which modules a plug-in of Apprise still imports is nothing to tell the operator.
        warnings.simplefilter("ignore")
        known = apprise.Apprise().add(config.url)
    if not known:
        scheme = config.url.partition("://")[0]
        raise UsageError(
            f"Apprise does not know {scheme}://, or something is missing in the address.",
            "See its list of services for how each is written.",
        )


def tell_service(config: AppriseConfig, notice: AlertNotice) -> ReceiverAnswer:
    """Tell once; never raises for what a service or a network does."""
    if importlib.util.find_spec("apprise") is None:
        missing = f"Apprise is not installed: {install_command('alerts')}"
        return ReceiverAnswer(0, missing, taken=False)
    text = (notice.brief or notice.text)[:_TEXT_MAX]
    telling = _Telling(config.url, notice.title, text, notice.is_alert)
    try:
        with _turns:
            finished = subprocess.run(
                # The address is a secret, which others could see among arguments.
                [sys.executable, "-m", __name__, str(math.ceil(_WITHIN_S) + 1)],
                input=msgspec.json.encode(telling),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                check=False,
                timeout=_WITHIN_S,
            )
        became = msgspec.json.decode(finished.stdout.rpartition(b"\0")[2], type=_Became)
    except subprocess.TimeoutExpired:
        return ReceiverAnswer(0, "it does not answer in time", taken=False)
    except (OSError, msgspec.DecodeError) as error:
        return ReceiverAnswer(0, f"it cannot be told ({type(error).__name__})", taken=False)
    return ReceiverAnswer(200 if became.taken else 0, became.said, taken=became.taken)


def _main(within_s: str) -> None:
    signal.alarm(int(within_s))  # which ends this process, whatever it does then
    telling = msgspec.json.decode(sys.stdin.buffer.read(), type=_Telling)
    became = msgspec.json.encode(_tell(telling))
    # A plug-in may have written there too.
    sys.stdout.buffer.write(b"\0" + became)
    sys.stdout.flush()


def _tell(telling: _Telling) -> _Became:
    words = ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            apprise = _apprise()
            service = apprise.Apprise(asset=_asset(apprise))
            taken = service.add(telling.url) and service.notify(
                title=telling.title,
                body=telling.text,
                body_format="text",
                notify_type="warning" if telling.is_alert else "info",
                log_level=logging.WARNING,
            )
        if taken is not False and not taken:
            words = _said([each.message for each in taken.logs()])
    except Exception as error:
        # A plug-in may raise anything, and its text may quote the address, which is a secret.
        return _Became(False, f"it cannot be told ({type(error).__name__})")
    return _Became(bool(taken), "it takes it" if taken else words or "it does not take it")


def _said(messages: Sequence[str]) -> str:
    """The last that Apprise says of a failure, as far as it holds no address."""
    plain = [each for each in messages if "://" not in each]
    return "".join(each for each in plain[-1] if each.isprintable())[:160] if plain else ""


def _asset(apprise: Any) -> Any:
    """Whose messages they are: Headcount's, without pictures that readers would have to fetch."""
    return apprise.AppriseAsset(
        app_id="Headcount", app_desc="Headcount", app_url="", image_url_mask="", image_url_logo=""
    )


def _apprise() -> Any:
    try:
        import apprise
    except ImportError:
        return None
    logging.getLogger("apprise").propagate = False
    return apprise


if __name__ == "__main__":
    _main(*sys.argv[1:])
