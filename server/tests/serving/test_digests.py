"""Digests by e-mail: from messages that a real server counts to mails that a real mail server
takes, over days that its clock is set to."""

from __future__ import annotations

import html
import struct
import zlib
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from headcount.charts.javascript import can_draw
from moved_clock import MovedClock
from support.mail_server import MailServer, mail_server
from support.needed import lacking
from support.server_fixture import Shop, eventually, serving

WEDNESDAY = datetime(2028, 3, 8, 10, tzinfo=UTC)
MARCH = "2028-03-01"


def at_six(day: int) -> datetime:
    """Shortly after the hour at which digests of the day before are written."""
    return datetime(2028, 3, day, 6, 2, tzinfo=UTC)


def send(shop: Shop, source: str, name: str, messages: int, users: int) -> None:
    batch = [
        {"type": "page", "messageId": f"{name} {number}", "userId": f"{source} {number % users}"}
        for number in range(messages)
    ]
    answer = shop.server.track("/v1/batch", {"batch": batch}, shop.write_keys[source])
    assert answer.status == 200


def months_row(shop: Shop, day: str) -> tuple[int, int]:
    """What the usage API says of a day of March: MTU and API calls of the month until then."""
    mtu = shop.ask(f"/usage/mtu/daily?period={MARCH}").data["dailyWorkspaceMTUUsage"]
    calls = shop.ask(f"/usage/api-calls/daily?period={MARCH}").data["dailyWorkspaceAPICallsUsage"]
    [of_mtu] = [row for row in mtu if row["timestamp"].startswith(day)]
    [of_calls] = [row for row in calls if row["timestamp"].startswith(day)]
    return int(of_mtu["identified"]) + int(of_mtu["neverIdentified"]), int(of_calls["apiCalls"])


def parts(mail: EmailMessage) -> tuple[str, str, list[bytes]]:
    """A mail's plain text, its page, and the pictures that the page shows, in their order."""
    plain, page = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert page is not None
    text = page.get_content()
    named = {
        part["Content-ID"].strip("<>"): part.get_payload(decode=True)
        for part in mail.walk()
        if part.get_content_type() == "image/png"
    }
    shown = sorted(named, key=lambda name: text.index(f"cid:{name}"))
    return plain.get_content(), text, [bytes(named[each]) for each in shown]  # type: ignore[arg-type]


def pixels(png: bytes) -> tuple[int, int, int]:
    """A picture's width and height, and how many kinds of dots it has; it is read to its end."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    at, packed, width, height = 8, b"", 0, 0
    while at < len(png):
        (length,), kind = struct.unpack_from(">I", png, at), png[at + 4 : at + 8]
        data = png[at + 8 : at + 8 + length]
        assert zlib.crc32(kind + data) == struct.unpack_from(">I", png, at + 8 + length)[0]
        if kind == b"IHDR":
            width, height, depth, colours = struct.unpack_from(">IIBB", data)
            assert (depth, colours) == (8, 6)
        packed += data if kind == b"IDAT" else b""
        at += 12 + length
    lines = zlib.decompress(packed)
    assert len(lines) == height * (1 + 4 * width)
    return width, height, len({lines[dot : dot + 4] for dot in range(1, len(lines) - 4, 4)})


def await_mail(mails: MailServer, title: str) -> EmailMessage:
    """The one mail whose subject holds a text, once it has come."""
    eventually(lambda: any(title in each for each in mails.titles()), f"a mail of {title}")
    [found] = [mail for mail in mails.came if title in mail["Subject"]]
    return found


def await_looks(shop: Shop, mails: MailServer) -> None:
    """Wait until the process that tells has looked for digests, by the clock as it is set now.

    It looks for what is to be sent and then for digests: once a second test is sent, it has done
    both since the first was.
    """
    channels = shop.ask("/headcount/v1/channels").data["channels"]
    for _ in range(2):
        came = len(mails.came)
        path = f"/headcount/v1/channels/{channels[0]['id']}/test"
        assert shop.server.ask(path, shop.token, method="POST").status == 200
        eventually(lambda: len(mails.came) > came, "a test to be mailed")  # noqa: B023


def expect_daily(shop: Shop, mail: EmailMessage) -> None:
    mtu, calls = months_row(shop, "2028-03-08")
    assert (mtu, calls) == (8, 20)  # what was sent on Thursday is of another day
    assert mail["To"] == "daily@example.com"
    assert mail["Subject"] == "Headcount: Shop, the day of 2028-03-08"
    text, page, pictures = parts(mail)
    for part in (text, html.unescape(page)):
        assert f"Monthly tracked users: {mtu} this month so far; {mtu} on 2028-03-08." in part
        assert (
            f"API calls: {calls} this month so far, 50% of the plan's 40; {calls} on 2028-03-08."
            in part
        )
        assert "web: 12 API calls this month" in part
        assert "app: 8 API calls this month" in part
    expect_charts(pictures)


def expect_weekly(shop: Shop, mail: EmailMessage) -> None:
    mtu, calls = months_row(shop, "2028-03-12")
    assert (mtu, calls) == (9, 26)
    assert mail["To"] == "weekly@example.com"
    text, page, pictures = parts(mail)
    span = "from 2028-03-06 to 2028-03-12"
    for part in (text, html.unescape(page)):
        assert f"Monthly tracked users: {mtu} this month so far; {mtu} {span}." in part
        assert (
            f"API calls: {calls} this month so far, 65% of the plan's 40; {calls} {span}." in part
        )
        assert "web: 18 API calls this month" in part
    expect_charts(pictures)


def expect_charts(pictures: list[bytes]) -> None:
    """One of each metric, and each a drawing rather than a plain area."""
    assert len(pictures) == 2
    assert pictures[0] != pictures[1]
    for png in pictures:
        width, height, colours = pixels(png)
        assert width > 400
        assert height > 200
        assert colours > 10


def test_each_day_and_week_is_mailed_once_with_charts_and_the_numbers_of_the_api(
    tmp_path: Path,
) -> None:
    if not can_draw():
        lacking("charts are drawn by the extra plot")
    clock = MovedClock(tmp_path / "clock", WEDNESDAY)
    with ExitStack() as stack:
        mails = stack.enter_context(mail_server())
        served = stack.enter_context(ExitStack())
        server = served.enter_context(serving(tmp_path, "--workers", "1", **clock.environment()))
        shop = server.shop("Shop", "web", "app")

        def run(*arguments: str, **more: str) -> Any:
            ran = server.program.run(*arguments, **clock.environment(), **more)
            assert ran.returncode == 0, ran.stderr

        run("plan", "set", "--workspace", "Shop", "--api-calls", "40")
        for digest in ("daily", "weekly"):
            run(
                "channel", "add", digest, "--workspace", "Shop", "--digest", digest,
                "--email", f"{digest}@example.com", "--from", "headcount@example.com",
                HEADCOUNT_SMTP=mails.url,
            )  # fmt: skip
        send(shop, "web", "on wednesday", 12, 5)
        send(shop, "app", "on wednesday", 8, 3)

        clock.set(at_six(9))
        send(shop, "web", "on thursday", 6, 6)
        expect_daily(shop, await_mail(mails, "the day of"))

        # Another process goes on where this one was: it has written and sent these already.
        served.close()
        server = stack.enter_context(serving(tmp_path, "--workers", "1", **clock.environment()))
        shop.server = server
        await_looks(shop, mails)
        assert [each for each in mails.titles() if "the day of 2028-03-08" in each] == [
            "Headcount: Shop, the day of 2028-03-08"
        ]

        clock.set(at_six(12))
        await_mail(mails, "the day of 2028-03-11")
        clock.set(at_six(13))
        await_mail(mails, "the day of 2028-03-12")
        expect_weekly(shop, await_mail(mails, "the week of"))
        for hours in (-4, 4):
            clock.set(at_six(13) + timedelta(hours=hours))
            await_looks(shop, mails)
        told = [each for each in mails.titles() if " test " not in each]
        assert sorted(told) == [
            "Headcount: Shop, the day of 2028-03-08",
            "Headcount: Shop, the day of 2028-03-11",
            "Headcount: Shop, the day of 2028-03-12",
            "Headcount: Shop, the week of 2028-03-06 to 2028-03-12",
        ]
