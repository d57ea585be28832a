"""Mail: what it says and to whom, that nobody waits for it, and that losing one tells nothing."""

import logging
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from threading import Event
from typing import Any

import django
import pytest
from django.conf import settings as configured
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMessage
from django.utils import translation

from accounts import mail
from accounts.links import Purpose
from accounts.models import User
from config.mail import mail_settings
from tests.accounts.steps import NEW_PASSWORD, ask, seen
from tests.browsers import login
from tests.factories import PASSWORD, UserFactory

NAMES = sorted(path.stem for path in (Path(configured.BASE_DIR) / "templates/mail").glob("*.txt"))
ADA = {"email": "ada@example.org", "password": PASSWORD}
SECRET = "eyJ.a-token-that-is.secret"


@pytest.fixture(params=["refused", "unreachable"])
def broken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mail server that does not take mail, and says why with words of the mail."""
    error = OSError(SECRET) if request.param == "unreachable" else RuntimeError(SECRET)

    def send(self: EmailMessage, *args: Any, **options: Any) -> int:
        raise error

    monkeypatch.setattr(EmailMessage, "send", send)


SAID = {
    "email": "<a&b>@example.org",
    "link": "https://testserver/somewhere?token=1&b=2",
    "reset": "https://testserver/password/reset",
    "device": 'Firefox <b>"on"</b> Windows',
    "time": datetime(2030, 1, 1, 12, tzinfo=UTC),
    "ip": "192.0.2.7",
}


def html_of(message: Any) -> str:
    ((html, kind),) = message.alternatives
    assert kind == "text/html"
    return str(html)


def words(text: str) -> list[str]:
    return re.findall(r"\S+", text)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("hours", [1, 72])
def test_a_mail_has_a_subject_of_one_line_and_says_where_it_comes_from(name, hours):
    message = mail.compose(name, "a@example.org", **SAID, hours=hours)
    assert re.fullmatch(r"[A-Z][^\n]{5,60}", message.subject)
    assert configured.ORIGIN in message.body
    assert message.from_email == "noreply@testserver"
    # Plain text: what is an address stays one.
    assert "&amp;" not in message.body
    assert "&lt;" not in message.body
    assert message.body.endswith("\n")


@pytest.mark.parametrize("name", NAMES)
def test_a_mail_says_the_same_as_html_word_for_word(name):
    message = mail.compose(name, "a@example.org", **SAID, hours=3)
    main = re.search("<main>(.*)</main>", html_of(message), re.DOTALL)
    assert main
    shown = unescape(re.sub("<[^>]*>", " ", main[1]))
    # A list has its colons by its form.
    listed = re.sub(r"^(\w+): ", r"\1 ", message.body, flags=re.MULTILINE)
    assert words(shown) == words(f"{message.subject} {listed}")


@pytest.mark.parametrize("name", NAMES)
def test_the_html_fetches_nothing_runs_nothing_and_has_one_style(name):
    html = html_of(mail.compose(name, "a@example.org", **SAID, hours=3))
    assert html.count("<style>") == html.count("</style>") == 1
    assert not re.search(r"<(script|img|link|iframe|object|form|table)\b", html)
    assert not re.search(r"\s(style|on\w+|src|background)=|url\(|@import", html)
    assert {unescape(url) for url in re.findall(r'href="([^"]*)"', html)} <= {SAID["link"], SAID["reset"]}


@pytest.mark.parametrize("name", NAMES)
def test_every_colour_of_the_html_is_there_for_light_and_for_dark(name):
    html = html_of(mail.compose(name, "a@example.org", **SAID, hours=3))
    assert '<meta name="color-scheme" content="light dark">' in html
    light, dark = html.split("@media (prefers-color-scheme: dark)")
    rules = r"([a-z0-9.][^{};]*?) \{[^{}]*\b(?:color|background|border|border-color): [^;}]*#[0-9a-f]{6}"
    coloured = [{one for found in re.findall(rules, part) for one in found.split(", ")} for part in (light, dark)]
    assert coloured[0] - coloured[1] == set()
    assert coloured[1]


class TestTheHtml:
    """Of a mail as its template writes it: the paragraphs of its text."""

    @pytest.fixture(autouse=True)
    def _templates(self, settings: Any, tmp_path: Path) -> None:
        """A mail with the text that the test gives it."""
        (tmp_path / "mail").mkdir()
        settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path, *settings.TEMPLATES[0]["DIRS"]]}]

    def html(self, first: str, second: str = "", **context: Any) -> str:
        folder = Path(configured.TEMPLATES[0]["DIRS"][0])
        (folder / "mail/test.txt").write_text(
            "{% autoescape off %}Subject <1>\n\n" + first + "\n\n" + second + "{% endautoescape %}"
        )
        return html_of(mail.compose("test", "a@example.org", **context))

    def test_escapes_everything(self):
        html = self.html("{{ device }}", "A: {{ device }}\nB: x", device="<script>alert(1)</script>")
        assert "<script" not in html
        assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 2
        assert "<h1>Subject &lt;1&gt;</h1>" in html

    def test_makes_a_button_of_a_line_and_an_address_of_ours_and_shows_the_address(self):
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
    def test_makes_none_that_leads_elsewhere(self, url):
        html = self.html("Open it\n{{ url }}", url=url)
        assert "href" not in html
        assert unescape(html).count(url) == 1

    def test_lets_nobody_who_is_only_named_begin_a_paragraph(self):
        html = self.html("Device: {{ device }}", device="Mine\n\nOpen it\nhttps://testserver/x")
        assert "href" not in html
        assert "<p>Device: Mine Open it https://testserver/x</p>" in html

    def test_makes_a_list_of_lines_with_names(self):
        html = " ".join(self.html("Device: Firefox: mine\nAddress: 192.0.2.7").split())
        assert "<dl> <dt>Device</dt> <dd>Firefox: mine</dd> <dt>Address</dt> <dd>192.0.2.7</dd> </dl>" in html

    def test_keeps_other_lines_as_they_are(self):
        assert "<p>one<br>two</p>" in self.html("one\ntwo")

    def test_says_its_language(self):
        with translation.override("de"):
            assert '<html lang="de">' in self.html("x")


@pytest.mark.django_db
def test_only_a_link_that_raises_an_alarm_is_drawn_as_one():
    user = UserFactory()
    alarm = mail.compose_with_link("password_changed", user.email, Purpose.ALARM, user)
    reset = mail.compose_with_link("reset_password", user.email, Purpose.PASSWORD_RESET, user)
    assert 'class="button alarm"' in html_of(alarm)
    assert 'class="button"' in html_of(reset)


def test_texts_are_marked_for_translation():
    for name in NAMES:
        text = (Path(configured.BASE_DIR) / f"templates/mail/{name}.txt").read_text()
        outside = re.sub(r"{%\s*blocktranslate.*?endblocktranslate\s*%}|{%.*?%}|{{.*?}}", "", text, flags=re.DOTALL)
        assert not outside.strip(), name


@pytest.mark.django_db
def test_a_mail_is_in_the_language_of_who_asks(api, mailoutbox, monkeypatch):
    languages = []
    render = mail.render_to_string

    def noting(*args: Any, **options: Any) -> str:
        languages.append(translation.get_language())
        return render(*args, **options)

    monkeypatch.setattr(mail, "render_to_string", noting)
    with translation.override("de"):
        mail.compose("account_deleted", "a@example.org", email="a@example.org")
    assert set(languages) == {"de"}


@pytest.mark.django_db
def test_a_link_leads_to_our_own_origin_whatever_the_host_header_says(api, mailoutbox):
    api.post("/api/auth/register", ADA, content_type="application/json", headers={"Host": "localhost"})
    links = re.findall(r"https?://\S+\?token=", mailoutbox[0].body)
    assert links == ["https://testserver/email/confirm?token="]


@pytest.mark.django_db
def test_mail_that_cannot_be_sent_tells_nothing(api, user, broken):
    new = ask(api, "register", ADA)
    assert new.status_code == 202
    assert seen(ask(api, "register", {"email": user.email, "password": PASSWORD})) == seen(new)
    assert ask(api, "password/reset", {"email": user.email}).status_code == 202
    assert User.objects.filter(email=ADA["email"]).exists()


@pytest.mark.django_db
def test_what_was_to_be_told_is_done_all_the_same(api, user, broken):
    login(api, user)
    data = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert ask(api, "password/change", data).status_code == 204
    assert User.objects.get().check_password(NEW_PASSWORD)


@pytest.mark.django_db
def test_a_lost_mail_is_a_line_in_the_log_without_a_secret(api, broken, caplog):
    ask(api, "register", ADA)
    (line,) = [record for record in caplog.records if record.name == "accounts"]
    assert line.levelno == logging.ERROR
    assert "mail not sent" in line.getMessage()
    assert SECRET not in caplog.text


@pytest.mark.django_db
def test_no_token_and_no_password_is_in_any_log(api, user, token_in, caplog):
    caplog.set_level(logging.DEBUG)
    ask(api, "password/reset", {"email": user.email})
    token = token_in(user.email)
    ask(api, "password/reset/confirm", {"token": token + "x", "password": NEW_PASSWORD})
    ask(api, "password/reset/confirm", {"token": token, "password": NEW_PASSWORD})
    ask(api, "password/reset/confirm", {"token": token, "password": NEW_PASSWORD})
    # The statements that a debugger may log are the database's; what is looked at is what the project writes.
    ours = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith("django.db"))
    assert token not in ours
    assert NEW_PASSWORD not in ours


class TestThePool:
    @pytest.fixture
    def server(self, monkeypatch: pytest.MonkeyPatch, _mail_at_once: None) -> Iterator[Event]:
        """A mail server that answers when it is told to."""
        answers, pool = Event(), ThreadPoolExecutor(2)
        monkeypatch.setattr(mail, "_pool", pool)
        monkeypatch.setattr(EmailMessage, "send", lambda self, *args, **options: answers.wait(10))
        yield answers
        answers.set()
        pool.shutdown()

    @pytest.mark.django_db
    def test_nobody_waits_for_the_mail_server(self, api, server):
        assert ask(api, "register", ADA).status_code == 202
        assert not server.is_set()

    def test_too_many_that_wait_are_dropped_and_said_so(self, server, monkeypatch, caplog):
        monkeypatch.setattr(mail, "_places", mail.BoundedSemaphore(3))
        for _ in range(5):
            mail.send(EmailMessage("s", "b", to=["a@example.org"]))
        assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["mail dropped"] * 2

    def test_a_place_is_free_again_when_a_mail_is_sent_or_lost(self, broken, monkeypatch):
        monkeypatch.setattr(mail, "_places", mail.BoundedSemaphore(1))
        for _ in range(3):
            mail.send(EmailMessage("s", "b", to=["a@example.org"]))
        assert mail._places.acquire(blocking=False)


def backend_and_options(url: str) -> tuple[str, dict[str, Any]]:
    """What the settings of this version of Django say, in the newer version's words."""
    found = mail_settings(url)
    if django.VERSION >= (6, 1):
        default = found["MAILERS"]["default"]
        return default["BACKEND"], default["OPTIONS"]
    names = {
        "EMAIL_HOST": "host",
        "EMAIL_PORT": "port",
        "EMAIL_HOST_USER": "username",
        "EMAIL_HOST_PASSWORD": "password",
        "EMAIL_USE_TLS": "use_tls",
        "EMAIL_USE_SSL": "use_ssl",
        "EMAIL_TIMEOUT": "timeout",
        "EMAIL_FILE_PATH": "file_path",
    }
    return found.pop("EMAIL_BACKEND"), {names[name]: value for name, value in found.items()}


SMTP = "django.core.mail.backends.smtp.EmailBackend"


@pytest.mark.parametrize(
    ("url", "backend", "options"),
    [
        ("smtp://localhost:25", SMTP, {"host": "localhost", "port": 25, "timeout": 10}),
        (
            "smtp+tls://me%40example.org:p%2Fw@mail.example.org:587",
            SMTP,
            {
                "host": "mail.example.org",
                "port": 587,
                "username": "me@example.org",
                "password": "p/w",
                "use_tls": True,
                "timeout": 10,
            },
        ),
        (
            "smtp+ssl://mail.example.org:465",
            SMTP,
            {"host": "mail.example.org", "port": 465, "use_ssl": True, "timeout": 10},
        ),
        ("mailbox://", "config.mailbox.EmailBackend", {}),
        ("consolemail://", "django.core.mail.backends.console.EmailBackend", {}),
        (
            "filemail:///var/mail/out",
            "django.core.mail.backends.filebased.EmailBackend",
            {"file_path": "/var/mail/out"},
        ),
    ],
)
def test_email_url_says_where_mail_goes(url, backend, options):
    assert backend_and_options(url) == (backend, options)


@pytest.mark.parametrize("url", ["", "nonsense", "http://mail.example.org", "smtp://host:port"])
def test_an_email_url_that_cannot_be_read_is_refused_with_an_example(url):
    with pytest.raises(ImproperlyConfigured, match=r"EMAIL_URL cannot be read\. Write smtp"):
        mail_settings(url)
