"""One telling through Apprise: takes the address of a service, gives what became of it.

Apprise knows Slack, Teams, Telegram, phones and a hundred more; it is an extra, loaded by the one
process that tells, when it first does.
"""

from __future__ import annotations

import logging
import warnings
from typing import Any

from headcount.alerting.alert_notices import AlertNotice
from headcount.alerting.channels import AppriseConfig
from headcount.alerting.webhook_posts import ReceiverAnswer
from headcount.errors import UsageError
from headcount.extras import install_command

__all__ = ["require_service", "tell_service"]

_TEXT_MAX = 3_000


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
    said = _Said()
    logger = logging.getLogger("apprise")
    logger.addHandler(said)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            service = apprise.Apprise()
            taken = service.add(config.url) and service.notify(
                title=notice.title, body=notice.text[:_TEXT_MAX], body_format="text"
            )
    except Exception as error:
        # A plug-in may raise anything, and its text may quote the address, which is a secret.
        return ReceiverAnswer(0, f"it cannot be told ({type(error).__name__})", taken=False)
    finally:
        logger.removeHandler(said)
    if taken:
        return ReceiverAnswer(200, "it takes it", taken=True)
    return ReceiverAnswer(0, said.words or "it does not take it", taken=False)


class _Said(logging.Handler):
    """What Apprise says of a failure, as far as it holds no address."""

    words = ""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.levelno >= logging.WARNING and "://" not in text:
            self.words = "".join(each for each in text if each.isprintable())[:160]


def _apprise() -> Any:
    try:
        import apprise
    except ImportError:
        return None
    logging.getLogger("apprise").propagate = False
    return apprise
