"""What a person reads: takes what was written down to be told, gives a title, a text and a page.

The page is for mail programs: nothing in it is fetched from anywhere, its looks stand beside each
part where programs drop style sheets, and follow a reader who has chosen dark ones. Charts are
pictures on white in either.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from headcount.alerting.alert_notices import moment_words

__all__ = ["AlertNotice", "Picture", "notice_of"]

_SENTENCES_MAX = 40
_STYLE = (
    "@media (prefers-color-scheme: dark) {"
    " body { background: #1c1c1e !important; color: #f2f2f4 !important }"
    " .note { color: #b4b4ba !important } .line { border-color: #48484c !important } }"
    " @media (max-width: 480px) { body { padding: 16px !important } }"
)
_TEXT = "margin:0 0 12px;font-size:16px;line-height:1.45"
_SMALL = "font-size:14px;line-height:1.45;color:#55585c"


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


def notice_of(body: str, pictures: Sequence[Picture] = ()) -> AlertNotice:
    """What people read of what is told.

    Args:
        body: as it was written down.
        pictures: drawn of its charts, in their order.
    """
    told = msgspec.json.decode(body)
    data = told["data"]
    title = data["title"]
    sentences = [each["text"] for each in data.get("crossings", ())] or data.get("lines", [])
    shown = sentences[:_SENTENCES_MAX]
    if len(shown) < len(sentences):
        shown = [*shown, f"… and {len(sentences) - len(shown)} more."]
    notes = list(data.get("notes", ()))
    at_ms = round(datetime.fromisoformat(told["timestamp"]).timestamp() * 1000)
    stamp = f"{moment_words(at_ms)} · {data['id']}"
    is_whole = len(shown) == 1 and title.endswith(shown[0])
    brief = [] if is_whole else shown
    return AlertNotice(
        title,
        "\n".join([*shown, "", *notes, *([""] if notes else []), stamp]),
        # One sentence that is the title is not said twice.
        _page(title, brief, notes, stamp, pictures),
        tuple(pictures),
        "\n".join([*brief, *notes, stamp]),
        told["type"] == "headcount.alert",
    )


def _page(
    title: str,
    sentences: Sequence[str],
    notes: Sequence[str],
    stamp: str,
    pictures: Sequence[Picture],
) -> str:
    heading = html.escape(title.removeprefix("Headcount: "))
    rows = "".join(f'<p style="{_TEXT}">{html.escape(each)}</p>' for each in sentences)
    drawn = "".join(
        f'<p style="margin:20px 0"><img src="cid:{each.name}" alt="{html.escape(each.title)}"'
        ' style="display:block;width:100%;max-width:560px;height:auto;background:#ffffff;'
        'border-radius:6px"></p>'
        for each in pictures
    )
    listed = "".join(f"<li>{html.escape(each)}</li>" for each in notes)
    listed = f'<ul style="margin:0 0 12px;padding-left:20px;{_TEXT}">{listed}</ul>' if notes else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>"
        '<body style="margin:0;padding:24px;overflow-wrap:anywhere;'
        'font-family:system-ui,sans-serif;color:#1d1d1f;background:#ffffff">'
        '<div role="main" style="max-width:640px;margin:0 auto">'
        f'<h1 style="font-size:20px;line-height:1.3;margin:0 0 16px">{heading}</h1>'
        f"{rows}{drawn}{listed}"
        '<p class="note line" style="margin:20px 0 0;padding-top:12px;'
        f'border-top:1px solid #d9dade;{_SMALL}">{html.escape(stamp)}<br>Sent by Headcount.</p>'
        "</div></body></html>"
    )
