"""What an attacker can write into logs, headers, mails and pages with the values that every client sends."""

import io
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client

from tests.browsers import login, post, refresh
from tests.factories import PASSWORD
from tokens.models import Device, SecurityEvent

pytestmark = [pytest.mark.django_db, pytest.mark.long, pytest.mark.at_length_on("sqlite")]

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (tokens|accounts|django\.\w+) .*")
FORGERY = "2030-01-01 12:00:00,000 tokens signed_in user=forged"
SCRIPT = "<script>alert(1)"
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
NASTY = {
    "a line after LF": f"x\n{FORGERY}",
    "a line after CR and LF": f"x\r\n{FORGERY}",
    "a line after CR": f"x\r{FORGERY}",
    "a line after a vertical tab": f"x\x0b{FORGERY}",
    "a line after NEL": f"x\x85{FORGERY}",
    "a line after a line separator": f"x\u2028{FORGERY}",
    "a line after NUL": f"x\x00{FORGERY}",
    "a line that erases the one before": f"\x1b[2K\x1b[1A{FORGERY}",
    "a cookie": "x\r\nSet-Cookie: __Host-access=forged",
    "a recipient of the mail": "x\nBcc: victim@example.org",
    "a script": f"{SCRIPT}</script>",
    "a cookie after encoded line breaks": "%0d%0aSet-Cookie:%20forged=1",
    "a lookup by Log4j": "${jndi:ldap://example.org/a}",
    "fields of a format": "{0.__class__} %s %(message)s %n",
    "SQL": "' OR 1=1 --",
}


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the project's own handler and format write of all records from INFO upwards.

    pytest captures records before they are formatted, so a line break in a record would go unnoticed there.
    """
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
    """Hold each line to beginning as ours do, to being none of the attacker's, and to having no control characters."""
    text = stream.getvalue()
    assert text
    for line in text.splitlines():  # `splitlines` splits at more characters than line feeds.
        assert LINE.fullmatch(line), ascii(line)
        assert not line.startswith(FORGERY)
        assert line.isprintable(), ascii(line)


def assert_harmless(answer: Any) -> None:
    """Hold a response to being no server error, with printable headers, without the attacker's header or script."""
    assert answer.status_code < 500
    for name, value in [*answer.headers.items(), *((c.key, c.OutputString()) for c in answer.cookies.values())]:
        assert str(value).isprintable(), name
        assert "forged" not in str(value)
    assert not answer.get("Content-Type", "").startswith("text/html") or SCRIPT not in answer.content.decode()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("nasty", NASTY.values(), ids=NASTY)
def test_no_header_adds_a_line_to_a_log_or_a_value_to_a_response(user, written, nasty, settings, mailoutbox):
    settings.TRUSTED_PROXIES = ["127.0.0.0/8"]
    forwarded = {"HTTP_X_FORWARDED_FOR": nasty, "HTTP_X_REAL_IP": nasty, "HTTP_FORWARDED": f"for={nasty}"}
    client = Client(HTTP_USER_AGENT=nasty, HTTP_REFERER=nasty, HTTP_ACCEPT_LANGUAGE=nasty, **forwarded)
    login(Client(), user)  # So the client below is a new device, and its user is notified by mail.
    for answer in (
        post(client, "/api/auth/login", {"email": user.email, "password": "wrong"}),
        post(client, "/api/auth/login", {"email": f"{nasty}@example.org", "password": nasty}),
        post(client, "/api/auth/login", {"email": user.email, "password": PASSWORD}),
        refresh(client),
        refresh(Client(HTTP_USER_AGENT=nasty), f"latchkey_rt_{'A' * 75}"),
        client.get("/"),
        client.get(f"/{nasty}"),
        client.get("/api/auth/sessions/" + nasty.replace("/", "")),
        post(client, "/api/auth/logout"),
    ):
        assert_harmless(answer)
    assert_lines(written)
    assert all(event.user_agent.isprintable() for event in SecurityEvent.objects.all())
    assert [message.to for message in mailoutbox] == [[user.email]] * 2
    for message in mailoutbox:
        assert "\n" not in message.subject
        assert not [html for html, _ in message.alternatives if SCRIPT in html]
        message.message().as_bytes()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("nasty", NASTY.values(), ids=NASTY)
def test_no_name_of_a_device_adds_a_line_to_a_log_or_a_script_to_a_page(api, user, written, nasty, mailoutbox):
    expected = 400 if CONTROL.search(nasty) else 200
    data = {"email": user.email, "password": PASSWORD, "device_name": nasty}
    assert post(api, "/api/auth/login", data).status_code == expected
    session = login(api, user)["session"]["id"]
    answer = api.patch(f"/api/auth/sessions/{session}", {"device_name": nasty}, content_type="application/json")
    assert answer.status_code == expected
    api.post(f"/sessions/{session}/rename", {"name": nasty, "device_name": nasty})
    assert SCRIPT not in api.get("/").content.decode()
    assert_lines(written)
    assert not [device for device in Device.objects.all() if CONTROL.search(device.name)]
    for message in mailoutbox:
        message.message().as_bytes()


PASSWORD_FIELDS = [
    *(("login", "password"), ("register", "password"), ("reauthenticate", "password")),
    *(("password/change", "current_password"), ("password/change", "new_password")),
    ("password/reset/confirm", "password"),
]


@pytest.mark.parametrize("length", [4097, 60_000], ids="{} characters".format)
@pytest.mark.parametrize(("path", "field"), PASSWORD_FIELDS)
def test_a_password_beyond_the_limit_is_never_hashed(signed_in, user, hashed, path, field, length):
    hashed.clear()
    data = {"email": user.email, "current_password": PASSWORD, "new_password": "x" * 20, "token": "x"}
    answer = post(signed_in, f"/api/auth/{path}", {**data, field: "p" * length})
    assert answer.status_code == 400
    assert len(hashed) <= 1  # The current password is hashed, if it is valid.
    assert b"pppp" not in answer.content


HUGE = "p" * 1_000_000
FORMS = {
    "/sign-in": {"username": "{user}", "password": HUGE},
    "/admin/login/": {"username": "{user}", "password": HUGE},
    "/register": {"email": "new@example.org", "password1": HUGE, "password2": HUGE},
    "/sign-in/again": {"current_password": HUGE},
    "/password/change": {"current_password": HUGE, "password1": "x" * 20, "password2": "x" * 20},
}
SIGNED_OUT = {"/sign-in", "/admin/login/", "/register"}


@pytest.mark.parametrize(("path", "fields"), FORMS.items(), ids=FORMS)
def test_a_password_beyond_the_limit_in_a_form_is_never_hashed(signed_in, user, hashed, path, fields):
    hashed.clear()
    data = {name: value.format(user=user.email) for name, value in fields.items()}
    answer = (Client() if path in SIGNED_OUT else signed_in).post(path, data)
    assert answer.status_code in {200, 400, 413}
    assert hashed == []
