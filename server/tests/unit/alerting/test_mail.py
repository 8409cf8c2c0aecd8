"""E-mail through a real mail server, and services through Apprise: what arrives, and what is said
where nothing does."""

from __future__ import annotations

import html
import json
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from headcount.alerting.alert_notices import alert_body
from headcount.alerting.apprise_services import require_service, tell_service
from headcount.alerting.channels import email_config, service_config, shown
from headcount.alerting.mail import send_mail
from headcount.alerting.notice_page import AlertNotice, Picture, notice_of
from headcount.counting.alerts import AlertEvent, Crossing
from headcount.errors import UsageError
from support.mail_server import MailServer, mail_server
from support.scripted_receiver import Does, scripted_receiver
from support.service_behind_proxy import service_behind_proxy


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
        assert "80% of the plan's 12,000 MTU" in html.unescape(part)
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
    answer = send_mail(wrong, "evt", notice, 0)
    assert not answer.taken
    assert "535" in answer.said
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


@pytest.mark.parametrize("goodbye", ["421 too busy", "250 see you", "nonsense"])
def test_a_mail_that_was_taken_is_not_sent_again_for_how_the_server_says_goodbye(
    mails: MailServer, goodbye: str
) -> None:
    mails.goodbye = goodbye
    config = email_config(["ops@example.com"], mails.url, "headcount@example.com")
    assert send_mail(config, "evt_1", notice_of(BODY), 0).taken
    assert len(mails.came) == 1


def test_a_mail_server_that_knows_no_other_letters_is_said() -> None:
    with mail_server(other_letters=False) as plain:
        config = email_config(["größe@example.com"], plain.url, "headcount@example.com")
        answer = send_mail(config, "evt_1", notice_of(BODY), 0)
    assert not answer.taken
    assert "SMTPUTF8" in answer.said


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
        assert "500" in answer.said


def test_what_slack_is_posted_reads_well_and_names_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through Apprise's own request to Slack's host, which a proxy on this machine answers."""
    body = BODY.replace("Shop <b>", "Shop <!channel> & *Sons*")
    config = service_config("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7/#usage")
    require_service(config)
    with service_behind_proxy("hooks.slack.com", tmp_path) as slack:
        for name, value in slack.environment.items():
            monkeypatch.setenv(name, value)
        assert tell_service(config, notice_of(body)).taken
        slack.status, slack.answer = 404, b"no_service"
        answer = tell_service(config, notice_of(body))
        assert not answer.taken
        assert "TIiajkdnlazkcOXrIdevi7" not in answer.said
        path, posted = slack.came[0]
        assert path == "/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7"
        told = json.loads(posted)
        [shown] = told["attachments"]
        assert told["channel"] == "#usage"
        assert shown["title"].startswith("Headcount: Shop &lt;!channel&gt; &amp; *Sons*: MTU 80%")
        assert "has reached 80% of the plan's 12,000 MTU in May 2026: 9,650.\n" in shown["text"]
        assert "An import brought it.\n" in shown["text"]
        assert "<!channel>" not in posted.decode()  # nobody is called by a name that is given
        assert shown["footer"] == "Headcount"
        assert "http" not in posted.decode()  # and no picture is fetched by who reads it
        assert set(slack.asked_for) == {"hooks.slack.com:443"}


def test_one_service_hears_nothing_of_what_another_says(tmp_path: Path) -> None:
    """Several are told at the same time, and Apprise has one log for all."""
    both = threading.Barrier(2, timeout=60)

    def answers(status: int) -> Callable[[int], Does]:
        def script(_: int) -> Does:
            both.wait()
            return Does(status)

        return script

    def said(port: int) -> str:
        config = service_config(f"json://127.0.0.1:{port}/")
        return tell_service(config, notice_of(BODY)).said

    with (
        scripted_receiver(answers(503)) as one,
        scripted_receiver(answers(418)) as other,
        ThreadPoolExecutor(2) as pool,
    ):
        told = list(pool.map(said, (one.port, other.port)))
    assert "503" in told[0], told
    assert "418" in told[1], told


def test_without_apprise_the_command_that_installs_it_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(UsageError) as refused:
        require_service(service_config("slack://a/b/c"))
    assert "install" in refused.value.remedy
    assert "apprise" in refused.value.remedy
    assert not tell_service(service_config("slack://a/b/c"), AlertNotice("t", "x", "x")).taken
