"""Mail: its texts, that no response waits for it, and that a mail that is lost changes no response."""

import logging
import re
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import django
import pytest
from django.conf import settings as configured
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMessage
from django.utils import translation

from accounts import links, mail
from accounts.links import Purpose
from accounts.models import Registration
from config.environment import mail_settings
from tests.accounts.steps import NEW_PASSWORD, ask, seen
from tests.factories import PASSWORD, User

FOLDER = Path(configured.BASE_DIR) / "templates/accounts/mail"
NAMES = sorted(path.stem for path in FOLDER.glob("*.txt"))
ADA = {"email": "ada@example.org", "password": PASSWORD}
SECRET = "eyJ.a-token-that-is.secret"
CONTEXT = {
    "email": "<a&b>@example.org",
    "link": "https://testserver/somewhere?token=1&b=2",
    "reset": "https://testserver/password/reset",
    "device": 'Firefox <b>"on"</b> Windows',
    "time": datetime(2030, 1, 1, 12, tzinfo=UTC),
    "ip": "192.0.2.7",
}


@pytest.fixture(params=[RuntimeError, OSError], ids=["the server rejects mail", "the server is unreachable"])
def broken(request, monkeypatch):
    """A mail server that fails with an error that quotes the mail. The quoted secret could be logged unnoticed."""

    def send(*args, **options) -> int:
        raise request.param(SECRET)

    monkeypatch.setattr(EmailMessage, "send", send)


def html_of(message) -> str:
    ((html, kind),) = message.alternatives
    assert kind == "text/html"
    return str(html)


@pytest.mark.parametrize("name", NAMES)
class TestEveryMail:
    @pytest.mark.parametrize("hours", [1, 72], ids=["one hour", "several hours"])
    def test_it_has_a_subject_of_one_line_and_says_which_site_sent_it(self, name, hours):
        message = mail.compose(name, "a@example.org", **CONTEXT, hours=hours)
        assert re.fullmatch(r"[A-Z][^\n]{5,60}", message.subject)
        assert configured.ORIGIN in message.body
        assert message.from_email == "noreply@testserver"
        assert not re.search("&amp;|&lt;", message.body), "Plain text is not escaped."
        assert message.body.endswith("\n")

    def test_its_html_has_the_same_words_as_its_text(self, name):
        message = mail.compose(name, "a@example.org", **CONTEXT, hours=3)
        main = re.search("<main>(.*)</main>", html_of(message), re.DOTALL)
        assert main
        shown = unescape(re.sub("<[^>]*>", " ", main[1]))
        without_colons = re.sub(r"^(\w+): ", r"\1 ", message.body, flags=re.MULTILINE)  # In HTML they are a list.
        assert shown.split() == f"{message.subject} {without_colons}".split()

    def test_its_html_loads_nothing_runs_nothing_and_has_one_style(self, name):
        html = html_of(mail.compose(name, "a@example.org", **CONTEXT, hours=3))
        assert html.count("<style>") == html.count("</style>") == 1
        assert not re.search(r"<(script|img|link|iframe|object|form|table)\b", html)
        assert not re.search(r"\s(style|on\w+|src|background)=|url\(|@import", html)
        assert {unescape(url) for url in re.findall(r'href="([^"]*)"', html)} <= {CONTEXT["link"], CONTEXT["reset"]}

    def test_each_element_with_a_colour_has_one_for_light_and_one_for_dark(self, name):
        html = html_of(mail.compose(name, "a@example.org", **CONTEXT, hours=3))
        assert '<meta name="color-scheme" content="light dark">' in html
        rules = r"([a-z0-9.][^{};]*?) \{[^{}]*\b(?:color|background|border|border-color): [^;}]*#[0-9a-f]{6}"
        light, dark = (
            {selector for selectors in re.findall(rules, part) for selector in selectors.split(", ")}
            for part in html.split("@media (prefers-color-scheme: dark)")
        )
        assert dark
        assert light <= dark

    def test_its_text_is_marked_for_translation(self, name):
        text = (FOLDER / f"{name}.txt").read_text()
        outside = re.sub(r"{%\s*blocktranslate.*?endblocktranslate\s*%}|{%.*?%}|{{.*?}}", "", text, flags=re.DOTALL)
        assert not outside.strip()


class TestTheHtml:
    """How a paragraph of the text looks in the HTML."""

    @pytest.fixture(autouse=True)
    def _templates(self, settings, tmp_path):
        """Add a folder of templates for `html`. Without it only the paragraphs of today's mails would be tested."""
        (tmp_path / "accounts/mail").mkdir(parents=True)
        settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path, *settings.TEMPLATES[0]["DIRS"]]}]

    def html(self, first, second="", **context) -> str:
        """Return the HTML of a mail whose template has these two paragraphs."""
        text = "{% autoescape off %}Subject <1>\n\n" + first + "\n\n" + second + "{% endautoescape %}"
        (Path(configured.TEMPLATES[0]["DIRS"][0]) / "accounts/mail/test.txt").write_text(text)
        return html_of(mail.compose("test", "a@example.org", **context))

    def test_values_and_the_subject_are_escaped(self):
        html = self.html("{{ device }}", "A: {{ device }}\nB: x", device="<script>alert(1)</script>")
        assert "<script" not in html
        assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 2
        assert "<h1>Subject &lt;1&gt;</h1>" in html

    def test_a_line_and_a_url_of_our_origin_become_a_button_and_the_url_is_shown(self):
        html = self.html("Open it\nhttps://testserver/x?a=1&b=2")
        assert re.search(r'<a class="button" href="https://testserver/x\?a=1&amp;b=2"[^>]*>Open it</a>', html)
        assert ">https://testserver/x?a=1&amp;b=2</p>" in html

    @pytest.mark.parametrize(
        "url",
        [
            "https://elsewhere.example/",
            "https://testserver.evil.example/",
            "https://testserver@evil.example/",
            "http://testserver/",
            "javascript:alert(1)",
            "https://testserver/ and more",
        ],
    )
    def test_a_url_of_another_origin_becomes_no_button(self, url):
        html = self.html("Open it\n{{ url }}", url=url)
        assert "href" not in html
        assert unescape(html).count(url) == 1

    def test_a_value_with_empty_lines_begins_no_paragraph(self):
        html = self.html("Device: {{ device }}", device="Mine\n\nOpen it\nhttps://testserver/x")
        assert "href" not in html
        assert "<p>Device: Mine Open it https://testserver/x</p>" in html

    def test_lines_with_names_become_a_list(self):
        html = " ".join(self.html("Device: Firefox: mine\nAddress: 192.0.2.7").split())
        assert "<dl> <dt>Device</dt> <dd>Firefox: mine</dd> <dt>Address</dt> <dd>192.0.2.7</dd> </dl>" in html

    def test_other_lines_stay_as_they_are(self):
        assert "<p>one<br>two</p>" in self.html("one\ntwo")

    def test_it_states_its_language(self):
        with translation.override("de"):
            assert '<html lang="de">' in self.html("x")


@pytest.mark.django_db
class TestALinkInAMail:
    def test_only_the_button_of_the_alarm_looks_like_an_alarm(self, user):
        alarm = mail.compose_with_alarm("password_changed", user.email, user)
        reset = mail.compose_with_link("reset_password", user.email, Purpose.PASSWORD_RESET, "x", email=user.email)
        assert 'class="button alarm"' in html_of(alarm)
        assert 'class="button"' in html_of(reset)

    def test_it_leads_to_our_origin_whatever_the_host_header_is(self, api, mailoutbox):
        ask(api, "register", ADA, Host="localhost")
        links = re.findall(r"https?://\S+\?token=", mailoutbox[0].body)
        assert links == ["https://testserver/email/confirm?token="]


@pytest.mark.django_db
class TestAMailThatCannotBeSent:
    def test_does_not_change_the_response_to_a_client_that_is_not_signed_in(self, api, user, broken):
        new = ask(api, "register", ADA)
        assert new.status_code == 202
        assert seen(ask(api, "register", {"email": user.email, "password": PASSWORD})) == seen(new)
        assert ask(api, "password/reset", {"email": user.email}).status_code == 202
        assert Registration.objects.filter(email=ADA["email"]).exists()

    def test_does_not_undo_the_change_that_it_reports(self, signed_in, broken):
        data = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
        assert ask(signed_in, "password/change", data).status_code == 204
        assert User.objects.get().check_password(NEW_PASSWORD)

    def test_is_logged_without_a_secret(self, api, broken, caplog):
        ask(api, "register", ADA)
        (line,) = [record for record in caplog.records if record.name == "accounts"]
        assert line.levelno == logging.ERROR
        assert "mail not sent" in line.getMessage()
        assert SECRET not in caplog.text


NAMES_OF_DEVICES = {
    "a name of the default kind": ("Firefox on Windows", "“Firefox on Windows”"),
    "a URL": ("https://evil.example/x", "“https···evil·example·x”"),
    "a host": ("Call www.evil.example now", "“Call www·evil·example now”"),
    "a host with full-width dots": ("evil．example", "“evil·example”"),
    "an address": ("help@evil.example", "“help·evil·example”"),
    "a path of Windows": ("\\\\evil\\share", "“··evil·share”"),
    "a long name": ("x" * 41, f"“{'x' * 39}…”"),
    "a name of 40 characters": ("x" * 40, f"“{'x' * 40}”"),
}


@pytest.mark.parametrize(("name", "shown"), NAMES_OF_DEVICES.values(), ids=NAMES_OF_DEVICES)
def test_the_name_of_a_device_is_quoted_short_and_no_link(name, shown):
    assert mail.quoted(name) == shown


SMTP = "django.core.mail.backends.smtp.EmailBackend"
HOST, USER = {"host": "mail.example.org", "timeout": 10}, {"username": "me@example.org", "password": "p/w"}
URLS = {
    "smtp://localhost:25": (SMTP, {"host": "localhost", "port": 25, "timeout": 10}),
    "smtp+tls://me%40example.org:p%2Fw@mail.example.org:587": (SMTP, {**HOST, **USER, "port": 587, "use_tls": True}),
    "smtp+ssl://mail.example.org:465": (SMTP, {**HOST, "port": 465, "use_ssl": True}),
    "mailbox://": ("config.demo.mailbox.EmailBackend", {}),
    "consolemail://": ("django.core.mail.backends.console.EmailBackend", {}),
    "filemail:///var/mail/out": ("django.core.mail.backends.filebased.EmailBackend", {"file_path": "/var/mail/out"}),
}


@pytest.mark.parametrize("url", URLS)
def test_the_email_url_sets_where_mail_is_sent(url):
    found = mail_settings(url)
    if django.VERSION >= (6, 1):
        default = found["MAILERS"]["default"]
        backend, options = default["BACKEND"], default["OPTIONS"]
    else:  # Older versions have a setting for each option: EMAIL_PORT for "port".
        older = {"EMAIL_HOST_USER": "username", "EMAIL_HOST_PASSWORD": "password"}
        backend = found.pop("EMAIL_BACKEND")
        options = {older.get(name, name.removeprefix("EMAIL_").lower()): value for name, value in found.items()}
    assert (backend, options) == URLS[url]


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "http://mail.example.org", "smtp://host:port"],
    ids=["an empty one", "no URL", "another scheme", "a port that is no number"],
)
def test_an_email_url_that_cannot_be_read_is_rejected_with_an_example(url):
    with pytest.raises(ImproperlyConfigured, match=r"EMAIL_URL cannot be read\. Write smtp"):
        mail_settings(url)


def test_a_link_is_on_one_line_where_a_mail_is_printed():
    """As in development. Django 6 would encode the text as quoted-printable, and break the link."""
    token = links.make(Purpose.EMAIL_CHANGE, "01a20a65-5189-764f-8426-b0731478d342")
    composed = mail.compose_with_link(
        "confirm_email_change", "ada@example.org", Purpose.EMAIL_CHANGE, token, email="ada@example.org"
    )
    assert links.url(Purpose.EMAIL_CHANGE, token) in composed.message().as_bytes().decode().splitlines()
