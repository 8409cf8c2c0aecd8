"""One telling through Apprise: takes the address of a service, gives what became of it.

Apprise knows Slack, Teams, Telegram, phones and a hundred more; it is an extra, loaded by the one
process that tells, when it first does.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import Any

from headcount.alerting.channels import AppriseConfig
from headcount.alerting.notice_page import AlertNotice
from headcount.alerting.webhook_posts import ReceiverAnswer
from headcount.errors import UsageError
from headcount.extras import install_command

__all__ = ["require_service", "tell_service"]

_TEXT_MAX = 3_000
_TIMEOUT_S = 60.0


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
    apprise = _apprise()
    if apprise is None:
        missing = f"Apprise is not installed: {install_command('alerts')}"
        return ReceiverAnswer(0, missing, taken=False)
    words = ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            service = apprise.Apprise(asset=_asset(apprise))
            taken = service.add(config.url) and service.notify(
                title=notice.title,
                body=(notice.brief or notice.text)[:_TEXT_MAX],
                body_format="text",
                notify_type="warning" if notice.is_alert else "info",
                log_level=logging.WARNING,
                timeout=_TIMEOUT_S,
            )
        if taken is not False and not taken:
            words = _said([each.message for each in taken.logs()])
    except Exception as error:
        # A plug-in may raise anything, and its text may quote the address, which is a secret.
        return ReceiverAnswer(0, f"it cannot be told ({type(error).__name__})", taken=False)
    if taken:
        return ReceiverAnswer(200, "it takes it", taken=True)
    return ReceiverAnswer(0, words or "it does not take it", taken=False)


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
