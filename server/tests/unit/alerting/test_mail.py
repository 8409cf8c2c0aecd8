"""E-mail through a real mail server, and services through Apprise: what arrives, and what is said
where nothing does."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest

from headcount.alerting.alert_notices import AlertNotice, Picture, alert_body, notice_of
from headcount.alerting.apprise_services import require_service, tell_service
from headcount.alerting.channels import email_config, service_config, shown
from headcount.alerting.mail import send_mail
from headcount.counting.alerts import AlertEvent, Crossing
from headcount.errors import UsageError
from support.mail_server import MailServer, mail_server
from support.scripted_receiver import Does, scripted_receiver


@pytest.fixture
def mails() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


BODY = alert_body(
    AlertEvent(
        "evt_1", 1, 1_780_000_000_000, (1,),
        (
            Crossing(
                rule="r", name="MTU", kind="count", metric="mtu", rule_number=1, source=0,
                period="2026-05-01", mark="80%", threshold="80%", value=9_650, target=9_600,
                limit=12_000,
            ),
            Crossing(
                rule="s", name="Web", kind="silent", metric="api_calls", rule_number=2, source=4,
                period="2026-05-01", mark="silent", day="2026-05-28", since_ms=1_780_000_000_000,
                imported=True,
            ),
        ),
    ),
    ("w1", "Shop <b>"),
    {4: ("s4", "web")},
)  # fmt: skip


def test_a_mail_says_the_same_in_text_and_html_and_shows_its_pictures(
    mails: MailServer,
) -> None:
    config = email_config(["ops@example.com", "two@example.com"], mails.url,
                          "headcount@example.com")  # fmt: skip
    notice = notice_of(BODY, [Picture("chart-0", "MTU by day", b"\x89PNG")])
    answer = send_mail(config, "evt_1", notice, 1_780_000_000_000)
    assert answer.taken, answer
    [mail] = mails.came
    assert mail["To"] == "ops@example.com, two@example.com"
    assert mail["Message-ID"] == "<evt_1@example.com>"
    text = mail.get_body(("plain",))
    page = mail.get_body(("html",))
    assert text is not None
    assert page is not None
    for part in (text.get_content(), page.get_content()):
        assert "80% of the plan's 12,000 MTU" in part.replace("&#x27;", "'")
        assert "Nothing has come from web since" in part
        assert "An import brought it." in part
    assert "Shop <b>" not in page.get_content()
    assert "cid:chart-0" in page.get_content()
    pictures = [part for part in mail.walk() if part.get_content_type() == "image/png"]
    assert [part.get_payload(decode=True) for part in pictures] == [b"\x89PNG"]


def test_what_a_mail_server_refuses_is_said_and_no_success(mails: MailServer) -> None:
    server = mails.url
    config = email_config(["ops@example.com"], server, "headcount@example.com")
    notice = AlertNotice("t", "text", "<p>text</p>")
    mails.refuse_receiver = "ops@example.com"
    answer = send_mail(config, "evt", notice, 0)
    assert not answer.taken
    assert "550" in answer.said
    mails.refuse_receiver, mails.refuse_data = "", "452 no room"
    answer = send_mail(config, "evt", notice, 0)
    assert not answer.taken
    assert "452 no room" in answer.said
    mails.refuse_data = ""
    wrong = email_config(
        ["ops@example.com"], f"smtp+plain://me:wrong@127.0.0.1:{mails.port}", "a@b.c"
    )
    assert not send_mail(wrong, "evt", notice, 0).taken
    right = email_config(
        ["ops@example.com"], f"smtp+plain://me:right@127.0.0.1:{mails.port}", "a@b.c"
    )
    assert send_mail(right, "evt", notice, 0).taken
    secure = email_config(["ops@example.com"], f"smtp://127.0.0.1:{mails.port}", "a@b.c")
    answer = send_mail(secure, "evt", notice, 0)
    assert not answer.taken  # it offers no TLS, and none is sent
    assert "no STARTTLS" in answer.said
    assert "smtp+plain://" in answer.said
    assert len(mails.came) == 1


def test_a_mail_server_that_is_not_there_is_said(mails: MailServer) -> None:
    config = email_config(["ops@example.com"], "smtp+plain://127.0.0.1:9", "a@b.c")
    answer = send_mail(config, "evt", AlertNotice("t", "x", "x"), 0)
    assert (answer.taken, answer.said) == (False, "it cannot be reached: Connection refused")


@pytest.mark.parametrize("to", ["nobody", "a@b.c\nBcc: x@y.z", "a b@c.d", ""])
def test_what_is_no_address_is_refused(to: str) -> None:
    with pytest.raises(UsageError):
        email_config([to], "smtp://localhost", None)


def test_slack_and_the_rest_are_told_through_apprise() -> None:
    with scripted_receiver() as receiver:
        config = service_config(f"json://127.0.0.1:{receiver.port}/secret-of-mine")
        require_service(config)
        assert shown(config) == "json://…"
        assert tell_service(config, notice_of(BODY)).taken
        told = json.loads(receiver.came[0].body)
        assert "80% of the plan's 12,000 MTU" in told["message"]
        receiver.script = lambda _: Does(500)
        answer = tell_service(config, notice_of(BODY))
        assert not answer.taken
        assert "secret-of-mine" not in answer.said


def test_without_apprise_the_command_that_installs_it_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(UsageError) as refused:
        require_service(service_config("slack://a/b/c"))
    assert "install" in refused.value.remedy
    assert "apprise" in refused.value.remedy
    assert not tell_service(service_config("slack://a/b/c"), AlertNotice("t", "x", "x")).taken
