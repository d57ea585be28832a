"""The mailbox of development: it keeps mails, shows them in a sandbox, and does not exist with DEBUG off."""

import io
import re
from base64 import b64encode
from hashlib import sha256

import pytest
from django.conf import settings as configured
from django.core.mail import EmailMessage

from accounts import mail
from config.demo import mailbox

in_development = pytest.mark.urls("tests.config.demo.test_demo")
each_page = pytest.mark.parametrize("page", ["/mailbox", "/mailbox/1", "/mailbox/1/html"])
SECRET_LINK = "https://testserver/password/reset/confirm?token=a&b=c"
SANDBOX = "allow-popups allow-popups-to-escape-sandbox"


@pytest.fixture(autouse=True)
def _empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mailbox without mails. Otherwise a test would count the mails of the tests before it."""
    monkeypatch.setattr(mailbox, "_kept", mailbox.deque(maxlen=mailbox.KEPT))
    monkeypatch.setattr(mailbox, "_numbers", mailbox.count(1))


def send(message: EmailMessage) -> str:
    """Send a mail, and return what the console shows."""
    console = io.StringIO()
    mailbox.EmailBackend(stream=console).send_messages([message])
    return console.getvalue()


def plain(subject: str = "Subject", text: str = "Text") -> EmailMessage:
    return EmailMessage(subject, text, to=["a@example.org"], cc=["b@example.org"])


def reset(to: str = "ada@example.org") -> EmailMessage:
    return mail.compose("reset_password", to, email=to, link=SECRET_LINK, hours=1)


class TestTheBackend:
    def test_writes_the_text_to_the_console_and_no_html(self):
        shown = send(reset())
        assert "To: ada@example.org" in shown
        assert SECRET_LINK in shown.replace("=\n", "").replace("=3D", "=")
        assert "<html" not in shown

    def test_keeps_the_mail_as_it_would_be_sent(self):
        message = reset()
        send(message)
        (kept,) = mailbox.newest_first()
        assert (kept.number, kept.to, kept.subject) == (1, "ada@example.org", "Choose a new password")
        assert (kept.text, kept.html) == (message.body, message.alternatives[0][0])  # type: ignore[attr-defined]

    def test_keeps_a_mail_without_html(self):
        send(plain())
        assert [(kept.to, kept.html) for kept in mailbox.newest_first()] == [("a@example.org, b@example.org", "")]

    def test_keeps_the_last_hundred(self):
        for number in range(103):
            send(plain(f"Subject {number}"))
        kept = mailbox.newest_first()
        assert [kept[0].subject, kept[-1].subject, len(kept)] == ["Subject 102", "Subject 3", 100]
        assert (mailbox.find(3), mailbox.find(4)) == (None, kept[-1])


@in_development
class TestThePages:
    def test_list_the_newest_first(self, api):
        for to in ("ada@example.org", "bob@example.org"):
            send(reset(to))
        html = api.get("/mailbox").content.decode()
        assert re.findall(r">(\w+@example.org)<", html) == ["bob@example.org", "ada@example.org"]
        assert 'href="/mailbox/2"' in html

    def test_say_that_there_is_no_mail(self, api):
        assert "There are no mails yet" in api.get("/mailbox").content.decode()

    def test_show_the_text_with_a_working_link_and_the_html_in_a_sandbox(self, api):
        send(reset())
        html = api.get("/mailbox/1").content.decode()
        assert f'href="{SECRET_LINK.replace("&", "&amp;")}"' in html
        [frame] = re.findall("<iframe [^>]*>", html)
        assert 'src="/mailbox/1/html"' in frame
        assert f'sandbox="{SANDBOX}"' in frame

    def test_have_no_frame_for_a_mail_without_html(self, api):
        send(plain())
        assert "<iframe" not in api.get("/mailbox/1").content.decode()
        assert "style-src 'none'" in api.get("/mailbox/1/html")["Content-Security-Policy"]

    def test_escape_the_subject_and_the_text(self, api):
        send(plain("<b>S</b>", "<b>T</b>"))
        for page in ("/mailbox", "/mailbox/1"):
            assert "<b>" not in api.get(page).content.decode()

    def test_allow_the_html_its_own_style_and_nothing_else(self, api):
        message = reset()
        send(message)
        response = api.get("/mailbox/1/html")
        html = response.content.decode()
        assert html == message.alternatives[0][0]  # type: ignore[attr-defined]
        [style] = re.findall("<style>(.*)</style>", html, re.DOTALL)
        policy = dict(part.strip().split(" ", 1) for part in response["Content-Security-Policy"].split(";"))
        assert policy == {
            "default-src": "'none'",
            "style-src": f"'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'",
            "base-uri": "'none'",
            "form-action": "'none'",
            "frame-ancestors": "'self'",
            "sandbox": SANDBOX,
        }
        assert response["X-Frame-Options"] == "SAMEORIGIN"

    @each_page
    def test_are_not_cached_and_answer_only_to_get(self, api, page):
        send(reset())
        response = api.get(page)
        assert (response.status_code, "no-store" in response["Cache-Control"]) == (200, True)
        assert api.post(page).status_code == 405

    @pytest.mark.parametrize("page", ["/mailbox/2", "/mailbox/2/html"])
    def test_are_missing_for_a_mail_that_was_not_sent(self, api, page):
        send(reset())
        assert api.get(page).status_code == 404


@each_page
def test_the_mailbox_does_not_exist_with_debug_off(api, page):
    assert not configured.DEBUG
    send(reset())
    assert api.get(page).status_code == 404
