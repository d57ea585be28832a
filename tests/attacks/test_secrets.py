"""What is secret stays where it belongs, after real use: not in the database, not in logs, not in reports of errors."""

import hmac
import io
import logging
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.core import signing
from django.db import connection
from django.test import Client
from django.utils.log import AdminEmailHandler
from uuid_utils.compat import uuid7

from accounts import links
from accounts.links import InvalidLink, Purpose
from accounts.models import User
from tests.attacks.doors import DOORS, INTROSPECTION, by_service, is_let_in
from tests.attacks.use import Use
from tests.browsers import ACCESS, DEVICE, REFRESH, login, post
from tests.factories import PASSWORD
from tests.tokens.pems import pem
from tokens import keys, refresh_tokens
from tokens.access_tokens import Codec, InvalidAccessToken, codec
from tokens.models import Device, RefreshToken

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]


def tables() -> Iterator[tuple[str, list[str], list[tuple[Any, ...]]]]:
    """Every table of the database, those of other apps too, with its columns and its rows."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608
            yield table, [column[0] for column in cursor.description], cursor.fetchall()


def dump() -> set[bytes]:
    """Every value of every row, and what is inside of it: a thief has read the whole database."""
    found: set[bytes] = set()
    for _, _, rows in tables():
        for value in {value for row in rows for value in row if value is not None}:
            found |= {bytes(value)} if isinstance(value, bytes | memoryview) else {str(value).encode()}
    for value in list(found):
        found |= {part for part in value.replace(b'"', b" ").replace(b"$", b" ").split() if len(part) > 3}
    return found


def texts_of(value: bytes) -> set[str]:
    """The spellings in which a value might be presented."""
    found = {value.hex(), b64encode(value).decode(), urlsafe_b64encode(value).rstrip(b"=").decode()}
    with suppress(UnicodeDecodeError):
        found.add(value.decode())
    with suppress(ValueError):
        found.add(str(UUID(bytes=value)))
    return {text for text in found if text.isprintable()}


def test_a_dump_of_the_database_holds_nothing_that_was_given_out(use):
    values = b"\n".join(dump())
    assert len(use.secrets) > 50
    for secret in use.secrets:
        raw = {secret.encode(), *(part.encode() for part in secret.split(".") if len(part) > 20)}
        with suppress(ValueError):
            raw.add(b64decode(secret, validate=True))
        with suppress(ValueError):
            raw.add(urlsafe_b64decode(secret + "=" * (-len(secret) % 4)))
        if secret.startswith(refresh_tokens.PREFIX):
            raw.add(urlsafe_b64decode(secret.removeprefix(refresh_tokens.PREFIX) + "=")[20:36])  # Its random part.
        for form in raw:
            assert form not in values, secret
            assert form.hex().encode() not in values, secret


def test_no_value_of_a_dump_opens_a_door(use):
    """Each value, in each spelling, as everything that anybody is ever let in by."""
    client = Client(raise_request_exception=True)
    texts = {text for value in dump() for text in texts_of(value) if len(text) >= 8}
    digests = {bytes(digest) for digest in Device.objects.values_list("token_digest", flat=True)}
    assert len(texts) > 200
    for text in texts:
        header = {"Cookie": f"{ACCESS}={text}; {REFRESH}={text}; {django_settings.SESSION_COOKIE_NAME}={text}"}
        if not {*";\\"} & {*text}:
            assert client.get("/api/auth/me", headers=header).status_code == 401, text
        with pytest.raises(InvalidAccessToken):
            codec().loads_expired(text)
        assert sha256(text.encode()).digest() not in digests, text  # As a device's token.
        with pytest.raises(refresh_tokens.InvalidRefreshToken):
            refresh_tokens.loads(text, keys.keyring().mac_keys)
        for purpose in Purpose:
            with pytest.raises(InvalidLink):
                links.read(text, purpose)


def test_no_value_of_a_dump_is_a_password(use):
    """Not the hash either: whoever presents that is hashed once more."""
    for user in User.objects.all():
        for text in (user.password, user.password.rpartition("$")[2], str(user.pk)):
            answer = post(Client(), "/api/auth/login", {"email": user.email, "password": text})
            assert answer.status_code == 401


def test_the_servers_secret_without_the_database_makes_no_refresh_token(api, user):
    """Whoever has ``SECRET_KEY``, and knows a session's id, still lacks the login's secret."""
    session_id = UUID(login(api, user)["session"]["id"])
    ring = keys.keyring()
    for guess in (bytes(16), session_id.bytes, sha256(session_id.bytes).digest()[:16], ring.handover_key[:16]):
        for generation in (0, 1, refresh_tokens.MAX_GENERATION):
            forged = refresh_tokens.RefreshToken(session_id, guess, generation)
            text = refresh_tokens.dumps(forged, ring.key_id, ring.mac_keys[ring.key_id])
            assert post(Client(headers={"Cookie": f"{REFRESH}={text}"}), "/api/auth/refresh").status_code == 401
    assert api.get("/api/auth/me").status_code == 200
    assert RefreshToken.objects.get().revoked_at is None


@pytest.mark.urls("tests.urls")
def test_it_does_make_access_tokens_until_it_is_changed(user, settings):
    """Keys are derived from it by default: then a user's id is all that it takes, and no session stands behind it."""
    now = datetime.now(UTC)
    thief = Codec(keys.derive([settings.SECRET_KEY]), settings.ORIGIN, settings.ORIGIN, "latchkey")
    forged, _ = thief.dumps(
        subject=str(user.pk),
        session_id=uuid7(),
        generation=0,
        now=now,
        lifetime=timedelta(days=365),
        session_ends_at=now + timedelta(days=365),
        authenticated_at=now,
        methods=["pwd"],
    )
    client = Client(headers={"Authorization": f"Bearer {forged}"})
    assert client.get("/probe/who").json()["pk"] == str(user.pk)
    settings.TOKENS = INTROSPECTION
    assert not is_let_in(by_service(Client(), forged))  # The database knows of no such session.
    settings.SECRET_KEY = "another secret, which is long enough to be taken for a real one: 0123456789"
    assert client.get("/probe/who").json()["pk"] is None


def test_and_raises_the_alarm_for_whomever_it_likes_until_then(user, settings):
    forged = links.make(Purpose.ALARM, User(pk=user.pk))
    assert links.read(forged, Purpose.ALARM).holder() == user
    settings.SECRET_KEY = "another secret, which is long enough to be taken for a real one: 0123456789"
    with pytest.raises(InvalidLink):
        links.read(forged, Purpose.ALARM)


def test_nor_an_access_token_once_keys_in_files_sign_them(api, user, settings):
    settings.TOKENS = {"SIGNING_KEYS": [pem("EdDSA")], **INTROSPECTION}
    login(api, user)
    good = api.cookies[ACCESS].value
    claims = codec().loads_expired(good)
    ring = keys.derive([django_settings.SECRET_KEY])
    thief = Codec(ring, settings.ORIGIN, settings.ORIGIN, "latchkey")
    session = RefreshToken.objects.get()
    forged, _ = thief.dumps(
        subject=claims.subject,
        session_id=session.id,
        generation=0,
        now=session.created_at,
        lifetime=session.expires_at - session.created_at,
        session_ends_at=session.expires_at,
        authenticated_at=session.created_at,
        methods=["pwd"],
    )
    client = Client()
    for door in DOORS:
        assert is_let_in(door(client, good))
        assert not is_let_in(door(client, forged))


@pytest.mark.parametrize("purpose", [purpose for purpose in Purpose if purpose is not Purpose.ALARM])
def test_nor_a_link_that_changes_an_account(user, purpose):
    """It would need the password's hash. (The alarm, which ends sessions and no more, needs the user's id alone.)"""
    guessed = User(pk=user.pk, email=user.email, last_login=user.last_login, email_confirmed_at=user.email_confirmed_at)
    for password in ("", "!", PASSWORD):
        guessed.password = password
        with pytest.raises(InvalidLink):
            links.read(links.make(purpose, guessed, "thief@example.org"), purpose).holder()


def test_nor_a_session_of_djangos_that_would_be_moved_over(api, user):
    """Django's session cookie is signed with the secret alone, but what it says of a sign-in takes the hash again."""
    for digest in ("", "0" * 64, hmac.digest(django_settings.SECRET_KEY.encode(), b"", "sha256").hex()):
        said = {
            SESSION_KEY: str(user.pk),
            BACKEND_SESSION_KEY: "django.contrib.auth.backends.ModelBackend",
            HASH_SESSION_KEY: digest,
            "_tokens_handover": "a nonce",
        }
        serializer = "django.contrib.sessions.backends.signed_cookies"
        cookie = signing.dumps(said, compress=True, salt=serializer)
        stranger = Client()
        stranger.cookies[django_settings.SESSION_COOKIE_NAME] = cookie
        assert stranger.get("/api/auth/me").status_code == 401
    assert not RefreshToken.objects.exists()


@contextmanager
def everything_logged() -> Iterator[io.StringIO]:
    """All that the project's loggers write, to the last detail, and all that the others do from INFO upwards."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("{asctime} {name} {message}", style="{"))
    levels = {"": logging.INFO, "tokens": logging.DEBUG, "accounts": logging.DEBUG}
    before = {name: logging.getLogger(name).level for name in levels}
    logging.getLogger().addHandler(handler)
    try:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        yield stream
    finally:
        logging.getLogger().removeHandler(handler)
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("html", [False, True], ids=["text", "html"])
def test_logs_error_pages_and_reports_of_a_full_run_hold_no_secret(request, mailoutbox, html, monkeypatch):
    """``html``: reports with the variables of every frame, as an operator may ask for them."""
    for handler in logging.getLogger("django").handlers:
        if isinstance(handler, AdminEmailHandler):
            monkeypatch.setattr(handler, "include_html", html)
    with everything_logged() as stream:
        use: Use = request.getfixturevalue("use")
    reports = [mail for mail in mailoutbox if mail.to == ["operator@example.org"]]
    assert len(reports) >= 5
    said = [stream.getvalue(), *(answer.content.decode() for answer in use.errors)]
    for mail in reports:
        said += [mail.subject, mail.body, *(content for content, _ in mail.alternatives)]
    assert "signed_in" in said[0]
    for secret in use.secrets:
        for text in said:
            assert secret not in text, text[max(text.find(secret) - 200, 0) :][:400]


def test_a_report_says_what_went_wrong_and_for_whom(use, mailoutbox):
    report = next(mail.body for mail in mailoutbox if mail.to == ["operator@example.org"])
    assert "RuntimeError at /probe/fails" in report
    assert "owner@example.org" in report
    assert f"{ACCESS} = '****" in report
    assert "token = '****" in report


def test_a_changed_secret_key_with_the_old_one_in_the_fall_backs_signs_nobody_out(api, another, user, settings, clock):
    settings.TOKENS = {"MODES": ["cookie", "body"]}
    login(api, user)
    refreshed = post(another(), "/api/auth/login", {"email": user.email, "password": PASSWORD, "mode": "body"}).json()
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another secret, which is long enough to be taken for a real one: 0123456789"
    assert api.get("/api/auth/me").status_code == 200
    clock.forward(601)
    assert api.get("/api/auth/me").status_code == 200
    taken = post(Client(), "/api/auth/refresh", {"refresh_token": refreshed["refresh_token"]})
    assert taken.status_code == 200
    settings.SECRET_KEY_FALLBACKS = []  # Everybody has a token of the new secret by now.
    assert api.get("/api/auth/me").status_code == 200
    clock.forward(601)
    assert api.get("/api/auth/me").status_code == 200


def test_without_it_everybody_is_signed_out_and_nothing_is_broken(api, user, settings, clock):
    login(api, user)
    device, session = api.cookies[DEVICE].value, RefreshToken.objects.get()
    settings.SECRET_KEY = "another secret, which is long enough to be taken for a real one: 0123456789"
    assert api.get("/api/auth/me").status_code == 401
    assert post(api, "/api/auth/refresh").status_code == 401
    assert api.get("/").status_code == 200  # The sign-in form.
    assert post(api, "/api/auth/logout").status_code == 204
    session.refresh_from_db()
    assert session.revoked_at is None  # A wrong deployment can be undone.
    login(api, user)
    clock.forward(601)
    assert api.get("/api/auth/me").status_code == 200
    assert api.cookies[DEVICE].value == device
    assert Device.objects.count() == 1


def test_every_table_was_looked_at(use):
    """Else a dump would show nothing for want of rows."""
    ours = {model._meta.db_table for name in ("accounts", "tokens") for model in apps.get_app_config(name).get_models()}
    filled = {table for table, _, rows in tables() if rows}
    assert ours <= filled
