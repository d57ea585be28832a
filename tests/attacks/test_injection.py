"""What a stranger may write into our logs, headers, mails and pages by what every client sends along."""

import io
import logging
import re
from collections.abc import Iterator

import pytest
from django.conf import settings as django_settings
from django.test import Client

from tests.browsers import login, post, refresh
from tests.factories import PASSWORD, UserFactory
from tokens.models import Device, RefreshToken, SecurityEvent

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (tokens|accounts|django\.\w+) .*")
FORGERY = "2030-01-01 12:00:00,000 tokens signed_in user=forged"
NASTY = [
    f"x\n{FORGERY}",
    f"x\r\n{FORGERY}",
    f"x\r{FORGERY}",
    f"x\x0b{FORGERY}",
    f"x\x85{FORGERY}",
    f"x\u2028{FORGERY}",
    f"x\x00{FORGERY}",
    f"\x1b[2K\x1b[1A{FORGERY}",
    "x\r\nSet-Cookie: __Host-access=forged",
    "x\nBcc: victim@example.org",
    "<script>alert(1)</script>",
    "%0d%0aSet-Cookie:%20forged=1",
    "${jndi:ldap://example.org/a}",
    "{0.__class__} %s %(message)s %n",
    "' OR 1=1 --",
]


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the project's own handler and format write of everything that is logged from INFO upwards."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter(django_settings.LOGGING["formatters"]["line"]["format"], style="{"))
    loggers = [logging.getLogger(name) for name in ("tokens", "accounts", "django.request", "django.security")]
    for logger in loggers:
        logger.addHandler(handler)
    yield stream
    for logger in loggers:
        logger.removeHandler(handler)


def assert_lines(stream: io.StringIO) -> None:
    """Each line begins as ours do, none is a stranger's, and none orders a terminal about."""
    text = stream.getvalue()
    assert text
    for line in text.splitlines():  # Python's, which break at more than line feeds.
        assert LINE.fullmatch(line), ascii(line)
        assert not line.startswith(FORGERY)
        assert line.isprintable(), ascii(line)


@pytest.mark.parametrize("nasty", NASTY, ids=ascii)
def test_no_header_writes_a_line_of_its_own_or_into_an_answer(user, written, nasty, settings, mailoutbox):
    settings.TRUSTED_PROXIES = ["127.0.0.0/8"]
    forwarded = {"HTTP_X_FORWARDED_FOR": nasty, "HTTP_X_REAL_IP": nasty, "HTTP_FORWARDED": f"for={nasty}"}
    client = Client(HTTP_USER_AGENT=nasty, HTTP_REFERER=nasty, HTTP_ACCEPT_LANGUAGE=nasty, **forwarded)
    login(Client(), user)  # The second sign-in is a new device, of which the owner is told.
    answers = [
        post(client, "/api/auth/login", {"email": user.email, "password": "wrong"}),
        post(client, "/api/auth/login", {"email": f"{nasty}@example.org", "password": nasty}),
        post(client, "/api/auth/login", {"email": user.email, "password": PASSWORD}),
        refresh(client),
        refresh(Client(HTTP_USER_AGENT=nasty), f"latchkey_rt_{'A' * 75}"),
        client.get("/"),
        client.get(f"/{nasty}"),
        client.get("/api/auth/sessions/" + nasty.replace("/", "")),
        post(client, "/api/auth/logout"),
    ]
    assert all(answer.status_code < 500 for answer in answers)
    for answer in answers:
        for name, value in [*answer.headers.items(), *((c.key, c.OutputString()) for c in answer.cookies.values())]:
            assert str(value).isprintable(), name
            assert "forged" not in str(value)
        is_page = answer.get("Content-Type", "").startswith("text/html")
        assert not is_page or "<script>alert(1)" not in answer.content.decode()
    assert_lines(written)
    for event in SecurityEvent.objects.all():
        assert event.user_agent.isprintable()
    for message in mailoutbox:
        assert set(message.to) <= {user.email}
        assert "\n" not in message.subject
        assert not [html for html, _ in message.alternatives if "<script>alert(1)" in html]
        message.message().as_bytes()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("nasty", NASTY, ids=ascii)
def test_no_name_of_a_device_does_either(api, user, written, nasty, mailoutbox):
    data = {"email": user.email, "password": PASSWORD, "device_name": nasty}
    status = post(api, "/api/auth/login", data).status_code
    printable = not re.search(r"[\x00-\x1f\x7f-\x9f]", nasty)
    assert status == (200 if printable else 400)
    session = login(api, user)["session"]["id"]
    answer = api.patch(f"/api/auth/sessions/{session}", {"device_name": nasty}, content_type="application/json")
    assert answer.status_code == status
    api.post(f"/sessions/{session}/rename", {"name": nasty, "device_name": nasty})
    assert "<script>alert(1)" not in api.get("/").content.decode()
    assert_lines(written)
    for device in Device.objects.all():
        assert not re.search(r"[\x00-\x1f\x7f-\x9f]", device.name)
    for message in mailoutbox:
        message.message().as_bytes()


@pytest.mark.parametrize("length", [4097, 60_000])
@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("login", "password"),
        ("register", "password"),
        ("reauthenticate", "password"),
        ("password/change", "current_password"),
        ("password/change", "new_password"),
        ("password/reset/confirm", "password"),
    ],
)
def test_a_password_beyond_the_limit_is_never_hashed(api, user, hashed, path, field, length):
    login(api, user)
    hashed.clear()
    data = {"email": user.email, "current_password": PASSWORD, "new_password": "x" * 20, "token": "x"}
    answer = post(api, f"/api/auth/{path}", {**data, field: "p" * length})
    assert answer.status_code == 400
    assert len(hashed) <= 1  # The current one, which is good.
    assert b"pppp" not in answer.content


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/sign-in", {"username": "user", "password": "huge"}),
        ("/admin/login/", {"username": "user", "password": "huge"}),
        ("/sign-in/again", {"current_password": "huge"}),
        ("/password/change", {"current_password": "huge", "password1": "x" * 20, "password2": "x" * 20}),
        ("/register", {"email": "new@example.org", "password1": "huge", "password2": "huge"}),
    ],
)
def test_nor_is_one_that_is_typed_into_a_page(api, user, hashed, path, fields):
    login(api, user)
    hashed.clear()
    typed = {name: {"user": user.email, "huge": "p" * 1_000_000}.get(value, value) for name, value in fields.items()}
    answer = (Client() if {*fields.values()} & {"user", "new@example.org"} else api).post(path, typed)
    assert answer.status_code in {200, 400, 413}
    assert hashed == []


def test_other_peoples_sessions_are_out_of_reach_on_pages(api, another, user):
    stranger = another()
    theirs = login(stranger, UserFactory())["session"]["id"]
    login(api, user)
    name = Device.objects.exclude(user=user).get().name
    for path in (f"/sessions/{theirs}/end", f"/sessions/{theirs}/rename"):
        for data in ({}, {"name": "mine now", "device_name": "mine now"}):
            assert api.post(path, data).status_code in {302, 404}
    assert theirs not in api.get("/").content.decode()
    assert RefreshToken.objects.get(pk=theirs).revoked_at is None
    assert Device.objects.exclude(user=user).get().name == name
    assert stranger.get("/api/auth/me").status_code == 200
