"""One e-mail: takes a notice and a mail server, gives what became of it.

Plain text and HTML, with pictures beside it where there are any; the same Message-ID whenever it is
sent again, so that a mail program may show it once.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from contextlib import closing, suppress
from email.message import EmailMessage
from email.utils import formatdate

from headcount.alerting.channels import EmailConfig
from headcount.alerting.notice_page import AlertNotice
from headcount.alerting.webhook_posts import ReceiverAnswer
from headcount.name_lookup import own_name
from headcount.outgoing_connections import TimeLimit, connect_any

__all__ = ["message_of", "send_mail"]

_TIMEOUT_S = 30.0
_WITHIN_S = 120.0
_NAME_WITHIN_S = 5.0
_SAID_MAX = 160
_NOT_IN_TIME = "it ends the connection, or does not answer in time"
_OFFERS_NONE = {
    "starttls": "it offers no STARTTLS: add the channel with smtps:// for TLS from the start, or"
    " with smtp+plain:// for a server on this machine",
    "tls": "it offers no way of signing in: add the channel without a user and password",
}
_OFFERS_NONE["none"] = _OFFERS_NONE["tls"]
_TAKES_ASCII = "it takes no addresses with other letters than those of ASCII (SMTPUTF8)"


def message_of(config: EmailConfig, event: str, notice: AlertNotice, now_ms: int) -> EmailMessage:
    """An e-mail that says a notice.

    Args:
        config: whose, and to whom.
        event: by which what is told is known.
        notice: what is told.
        now_ms: milliseconds since 1970.
    """
    message = EmailMessage()
    message["Subject"] = notice.title
    message["From"] = config.sender
    message["To"] = ", ".join(config.to)
    message["Date"] = formatdate(now_ms / 1000)
    message["Message-ID"] = f"<{event}@{config.sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(notice.text)
    message.add_alternative(notice.html, subtype="html")
    html = message.get_payload()[1]  # type: ignore[index]
    for picture in notice.pictures:
        html.add_related(picture.png, "image", "png", cid=f"<{picture.name}>")  # type: ignore[union-attr]
    return message


def send_mail(config: EmailConfig, event: str, notice: AlertNotice, now_ms: int) -> ReceiverAnswer:
    """Send once; never raises for what a server or a network does.

    It takes two minutes at most: each byte may come in time, and the last one never.
    """
    message = message_of(config, event, notice, now_ms)
    try:
        with TimeLimit(_WITHIN_S) as limit, closing(_Server(config, limit)) as server:
            server.connect(config.host, config.port)
            if config.security == "starttls":
                server.starttls(context=ssl.create_default_context())
            if config.user:
                server.login(config.user, config.password)
            refused = server.send_message(message)
            # It has taken it: how it says goodbye makes no difference.
            with suppress(smtplib.SMTPException, OSError):
                server.quit()
    except smtplib.SMTPRecipientsRefused as error:
        return ReceiverAnswer(
            0, _said("it takes none of the receivers", error.recipients), taken=False
        )
    except smtplib.SMTPResponseException as error:
        text = error.smtp_error
        words = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
        return ReceiverAnswer(
            error.smtp_code, f"it answers {error.smtp_code} {_clean(words)}", taken=False
        )
    except smtplib.SMTPNotSupportedError:
        is_plain = all(each.isascii() for each in (config.sender, *config.to))
        lacks = _OFFERS_NONE[config.security] if is_plain else _TAKES_ASCII
        return ReceiverAnswer(0, lacks, taken=False)
    except ssl.SSLError as error:
        if limit.is_over:
            return ReceiverAnswer(0, _NOT_IN_TIME, taken=False)
        return ReceiverAnswer(0, f"its TLS cannot be trusted or used: {error.reason}", taken=False)
    except (smtplib.SMTPServerDisconnected, TimeoutError):
        return ReceiverAnswer(0, _NOT_IN_TIME, taken=False)
    except (smtplib.SMTPException, OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        return ReceiverAnswer(
            0, f"it cannot be reached: {reason or type(error).__name__}", taken=False
        )
    if refused:
        return ReceiverAnswer(250, _said("it takes it, but not for all", refused), taken=True)
    return ReceiverAnswer(250, "it takes it", taken=True)


class _Server(smtplib.SMTP):
    """A mail server.

    Args:
        config: which.
        limit: ends the connection when it is over.
    """

    def __init__(self, config: EmailConfig, limit: TimeLimit) -> None:
        # Told, since it would be looked up without a limit.
        super().__init__(local_hostname=own_name(_NAME_WITHIN_S), timeout=_TIMEOUT_S)
        self._host = config.host  # whose certificate is asked for
        self._security = config.security
        self._limit = limit

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        made = connect_any(host, port, min(timeout, self._limit.left_s()))
        made.settimeout(timeout)
        self._limit.holds(made)
        if self._security != "tls":
            return made
        return ssl.create_default_context().wrap_socket(made, server_hostname=host)


def _said(words: str, refused: object) -> str:
    named = refused if isinstance(refused, dict) else {}
    listed = ", ".join(f"{who} ({answer[0]})" for who, answer in named.items())
    return f"{words}: {_clean(listed)}"


def _clean(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in text)[:_SAID_MAX]
