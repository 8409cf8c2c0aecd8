"""The log of a server's processes: takes what is logged, gives lines of text or JSON, one record at
a time, on standard error.

Every line has its time (UTC), its process and its level, the lines of a trace as well; a record of
JSON is one line, trace and all. What comes from outside moves no terminal and begins no line.
Warnings of Python and exceptions that nobody caught, in any thread, are records like all others.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from types import TracebackType
from typing import Any

from headcount.shown import shown
from headcount.tracing import current_id

__all__ = ["FORMATS", "JsonFormatter", "TextFormatter", "log_to_stderr"]

_log = logging.getLogger(__name__)


def _moment(record: logging.LogRecord) -> str:
    when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{when}.{int(record.msecs):03d}Z"


def _request_id(record: logging.LogRecord) -> str | None:
    told: str | None = getattr(record, "request_id", None)
    return told or current_id()


class TextFormatter(logging.Formatter):
    """Lines for people: `2026-11-26T03:12:11.123Z intake ERROR [request's id] message`.

    Args:
        process: which process logs, such as `"meter"`.
    """

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """A record as lines, without the last one's end."""
        head = f"{_moment(record)} {self._process} {record.levelname}"
        if (request_id := _request_id(record)) is not None:
            head = f"{head} [{request_id}]"
        lines = [shown(record.getMessage().rstrip())]
        for text in _details(self, record):
            lines += [f"| {shown(line)}" for line in text.splitlines() if line.strip()]
        return "\n".join(f"{head} {line}" for line in lines)


class JsonFormatter(logging.Formatter):
    """Lines for programs: one object for each record, in ASCII.

    Args:
        process: which process logs, such as `"meter"`.
    """

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """A record as one line, without its end."""
        fields = {
            "time": _moment(record),
            "level": record.levelname.lower(),
            "process": self._process,
            "pid": os.getpid(),
            "logger": record.name,
            "message": record.getMessage().rstrip(),
        }
        if (request_id := _request_id(record)) is not None:
            fields["requestId"] = request_id
        if details := "\n".join(_details(self, record)):
            fields["exception"] = details
        return json.dumps(fields).replace("\x7f", "\\u007f")


def _details(formatter: logging.Formatter, record: logging.LogRecord) -> list[str]:
    """What stands below the message: a trace, and a stack, if there are any."""
    # Of some exceptions only the lines of code, since their text may quote what was sent.
    found = [trace] if (trace := getattr(record, "trace", "")) else []
    if record.exc_info and record.exc_info[0] is not None:
        found.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        found.append(formatter.formatStack(record.stack_info))
    return found


_FORMATTERS: dict[str, type[TextFormatter] | type[JsonFormatter]] = {
    "text": TextFormatter,
    "json": JsonFormatter,
}
FORMATS = tuple(_FORMATTERS)
"""What a log may look like, the default first."""


def log_to_stderr(process: str, log_format: str) -> None:
    """Let this process log to standard error, and whatever Python says there be logged.

    Args:
        process: what it is called in the log.
        log_format: one of `FORMATS`.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_FORMATTERS[log_format](process))
    root = logging.getLogger()
    for former in list(root.handlers):
        root.removeHandler(former)
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    # A log that cannot be written is no reason to write something else where it goes.
    logging.raiseExceptions = False
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        _log.critical("%s was not caught", kind.__qualname__, exc_info=(kind, error, trace))


def _uncaught_in_thread(told: Any) -> None:
    if told.exc_value is not None and not issubclass(told.exc_type, SystemExit):
        _uncaught(told.exc_type, told.exc_value, told.exc_traceback)


def _unraisable(told: Any) -> None:
    if told.exc_value is not None:
        trace = (told.exc_type, told.exc_value, told.exc_traceback)
        _log.error("%s in %r", told.err_msg or "Exception ignored", told.object, exc_info=trace)
