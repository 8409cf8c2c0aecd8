"""What a person reads: takes what was written down to be told, gives a title, a text and a page.

The page is for mail programs: nothing in it is fetched from anywhere, its looks stand beside each
part where programs drop style sheets, and follow a reader who has chosen dark ones. Charts are
pictures on white in either.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import NamedTuple

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from headcount.alerting.alert_notices import moment_words

__all__ = ["AlertNotice", "Picture", "notice_of"]

_SENTENCES_MAX = 40


class Picture(NamedTuple):
    """A picture beside a text.

    Attributes:
        name: by which the text names it.
        title: what it shows.
        png: the picture.
    """

    name: str
    title: str
    png: bytes


class AlertNotice(NamedTuple):
    """What a person reads.

    Attributes:
        title: in one line.
        text: plain.
        html: the same as a page.
        pictures: named in the page.
        brief: plain, without what the title says in full; empty where that is all.
        is_alert: whether something was reached, rather than tried out or reported.
    """

    title: str
    text: str
    html: str
    pictures: tuple[Picture, ...] = ()
    brief: str = ""
    is_alert: bool = False


def notice_of(body: str, pictures: Sequence[Picture] = (), missing: str = "") -> AlertNotice:
    """What people read of what is told.

    Args:
        body: as it was written down.
        pictures: drawn of its charts, in their order.
        missing: why there are none where there should be, as a clause.
    """
    told = msgspec.json.decode(body)
    data = told["data"]
    title = data["title"]
    sentences = [each["text"] for each in data.get("crossings", ())] or data.get("lines", [])
    shown = sentences[:_SENTENCES_MAX]
    if len(shown) < len(sentences):
        shown = [*shown, f"… and {len(sentences) - len(shown)} more."]
    notes = list(data.get("notes", ()))
    if missing:
        notes.append(f"Without charts: {missing}.")
    at_ms = round(datetime.fromisoformat(told["timestamp"]).timestamp() * 1000)
    stamp = f"{moment_words(at_ms)} · {data['id']}"
    is_whole = len(shown) == 1 and title.endswith(shown[0])
    brief = [] if is_whole else shown
    return AlertNotice(
        title,
        "\n".join([*shown, "", *notes, *([""] if notes else []), stamp]),
        # One sentence that is the title is not said twice.
        _template().render(
            title=title, sentences=brief, notes=notes, stamp=stamp, pictures=pictures
        ),
        tuple(pictures),
        "\n".join([*brief, *notes, stamp]),
        told["type"] == "headcount.alert",
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("headcount.alerting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    return environment.get_template("notice.html")
