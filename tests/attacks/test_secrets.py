"""After every operation of the project, no secret is in the database, in logs or in error reports.

An attacker who reads the database, or who knows ``SECRET_KEY``, cannot use what they learn, except as stated here.
"""

import hmac
import logging
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

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
from accounts.service import pending_changes, registration
from tests.attacks.entry_points import INTROSPECTION, WAYS, by_service, is_accepted
from tests.attacks.use import OWNER, Use
from tests.browsers import ACCESS, DEVICE, REFRESH, login, post, refresh
from tests.factories import link_token
from tests.tokens.protocol.jws import claims_of, minted
from tests.tokens.protocol.pems import pem
from tokens import conf
from tokens.conf import codec
from tokens.models import Device, RefreshToken
from tokens.protocol import keys, refresh_tokens
from tokens.protocol.access_tokens import Codec, InvalidAccessToken

pytestmark = [pytest.mark.django_db, pytest.mark.long, pytest.mark.at_length_on("sqlite")]

ANOTHER_SECRET = "another secret, which is long enough to be taken for a real one: 0123456789"


def tables() -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    """Yield every table of the database, also those of other apps, with its rows."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608
            yield table, cursor.fetchall()


def dump() -> set[bytes]:
    """Return every value of every row, and the parts of each value."""
    found: set[bytes] = set()
    for _, rows in tables():
        for value in {value for row in rows for value in row if value is not None}:
            found |= {bytes(value)} if isinstance(value, bytes | memoryview) else {str(value).encode()}
    for value in list(found):
        found |= {part for part in value.replace(b'"', b" ").replace(b"$", b" ").split() if len(part) > 3}
    return found


def texts_of(value: bytes) -> set[str]:
    """Return the spellings in which a value might be presented."""
    found = {value.hex(), b64encode(value).decode(), urlsafe_b64encode(value).rstrip(b"=").decode()}
    with suppress(UnicodeDecodeError):
        found.add(value.decode())
    with suppress(ValueError):
        found.add(str(UUID(bytes=value)))
    return {text for text in found if text.isprintable()}


class TestADumpOfTheDatabase:
    def test_holds_no_secret_that_a_client_received(self, use):
        configs = [apps.get_app_config(name) for name in ("accounts", "factors", "tokens")]
        ours = {model._meta.db_table for config in configs for model in config.get_models()}
        assert ours <= {table for table, rows in tables() if rows}, "A control: in an empty table there is no secret."
        values = b"\n".join(dump())
        assert len(use.secrets) > 50
        for secret in use.secrets:
            raw = {secret.encode(), *(part.encode() for part in secret.split(".") if len(part) > 20)}
            with suppress(ValueError):
                raw.add(b64decode(secret, validate=True))
            with suppress(ValueError):
                raw.add(urlsafe_b64decode(secret + "=" * (-len(secret) % 4)))
            if secret.startswith(refresh_tokens.PREFIX):
                random_part = urlsafe_b64decode(secret.removeprefix(refresh_tokens.PREFIX) + "=")[20:36]
                raw.add(random_part)
            for form in raw:
                assert form not in values, secret
                assert form.hex().encode() not in values, secret

    def test_holds_no_value_that_is_accepted_as_a_credential(self, use):
        """Each value, in each spelling, is presented as every kind of credential."""
        client = Client(raise_request_exception=True)
        texts = {text for value in dump() for text in texts_of(value) if len(text) >= 8}
        devices = {bytes(digest) for digest in Device.objects.values_list("token_digest", flat=True)}
        assert len(texts) > 200
        for text in texts:
            header = {"Cookie": f"{ACCESS}={text}; {REFRESH}={text}; {django_settings.SESSION_COOKIE_NAME}={text}"}
            if not {*";\\"} & {*text}:
                assert client.get("/api/auth/me", headers=header).status_code == 401, text
            with pytest.raises(InvalidAccessToken):
                codec().loads_expired(text)
            assert sha256(text.encode()).digest() not in devices, text
            with pytest.raises(refresh_tokens.InvalidRefreshToken):
                refresh_tokens.loads(text, conf.keyring().mac_keys)
            for purpose in Purpose:
                with pytest.raises(InvalidLink):
                    links.read(text, purpose)
        # The hash of a password is not accepted as one, because it is hashed again.
        for user in User.objects.all():
            for text in (user.password, user.password.rpartition("$")[2], str(user.pk)):
                answer = post(Client(), "/api/auth/login", {"email": user.email, "password": text})
                assert answer.status_code == 401


def codec_of(secret: str, settings: Any) -> Codec:
    """Return the codec of an attacker who knows SECRET_KEY."""
    return Codec(keys.derive([secret]), settings.ORIGIN, settings.ORIGIN, "latchkey")


class TestAnAttackerWhoKnowsTheSecretKey:
    def test_the_servers_secret_without_the_database_makes_no_refresh_token(self, api, user):
        """With a session's id an attacker still lacks the random part, which was created at sign-in."""
        session_id = UUID(login(api, user)["session"]["id"])
        ring = conf.keyring()
        known = sha256(session_id.bytes).digest()[:16], ring.django_session_keys[0][:16]
        for guess in (bytes(16), session_id.bytes, *known):
            for generation in (0, 1, refresh_tokens.MAX_GENERATION):
                forged = refresh_tokens.RefreshToken(session_id, guess, generation)
                text = refresh_tokens.dumps(forged, ring.key_id, ring.mac_keys[ring.key_id])
                assert refresh(Client(), text).status_code == 401
        assert api.get("/api/auth/me").status_code == 200
        assert RefreshToken.objects.get().revoked_at is None

    @pytest.mark.urls("tests.urls")
    def test_makes_access_tokens_until_the_key_is_changed(self, user, settings):
        """The default signing key is derived from SECRET_KEY. A user's id is enough, and no session is needed."""
        now = datetime.now(UTC)
        attacker, year = codec_of(settings.SECRET_KEY, settings), timedelta(days=365)
        forged = minted(
            attacker, now=now, subject=str(user.pk), session_id=uuid7(), lifetime=year, session_ends_at=now + year
        )
        client = Client(headers={"Authorization": f"Bearer {forged}"})
        assert client.get("/probe/who").json()["pk"] == str(user.pk)
        settings.TOKENS = INTROSPECTION
        assert not is_accepted(by_service(Client(), forged)), "Introspection looks the session up in the database."
        settings.SECRET_KEY = ANOTHER_SECRET
        assert client.get("/probe/who").json()["pk"] is None

    def test_makes_links_that_end_all_sessions_of_a_user_until_the_key_is_changed(self, user, settings):
        forged = links.make(Purpose.ALARM, user.pk)
        assert links.read(forged, Purpose.ALARM).key == str(user.pk)
        settings.SECRET_KEY = ANOTHER_SECRET
        with pytest.raises(InvalidLink):
            links.read(forged, Purpose.ALARM)

    def test_makes_no_access_token_if_the_signing_key_is_in_a_file(self, api, user, settings):
        settings.TOKENS = {"SIGNING_KEYS": [pem("EdDSA")], **INTROSPECTION}
        login(api, user)
        good, session = api.cookies[ACCESS].value, RefreshToken.objects.get()
        forged = minted(
            codec_of(django_settings.SECRET_KEY, settings),
            subject=claims_of(good)["sub"],
            session_id=session.id,
            generation=0,
            now=session.created_at,
            lifetime=session.expires_at - session.created_at,
            session_ends_at=session.expires_at,
            authenticated_at=session.created_at,
        )
        for way in WAYS:
            assert is_accepted(way(Client(), good))
            assert not is_accepted(way(Client(), forged))

    @pytest.mark.parametrize("purpose", [purpose for purpose in Purpose if purpose is not Purpose.ALARM])
    def test_makes_no_link_that_changes_an_account(self, user, purpose):
        """Such a link names a row by an id that cannot be guessed."""
        link_token(Purpose.PASSWORD_RESET, user)
        link_token(Purpose.EMAIL_CHANGE, user, "thief@example.org")
        for key in (user.pk, uuid4(), uuid7(), "", "' OR ''='", None):
            link = links.read(links.make(purpose, key), purpose)
            with pytest.raises(InvalidLink):
                (registration if purpose is Purpose.REGISTRATION else pending_changes).look_at(link)

    def test_makes_no_session_of_django_that_becomes_one_of_ours(self, api, user):
        """SECRET_KEY signs Django's session cookie, but the session must also contain a digest of the password hash."""
        for digest in ("", "0" * 64, hmac.digest(django_settings.SECRET_KEY.encode(), b"", "sha256").hex()):
            session = {
                SESSION_KEY: str(user.pk),
                BACKEND_SESSION_KEY: "django.contrib.auth.backends.ModelBackend",
                HASH_SESSION_KEY: digest,
                "_tokens_handover": "a nonce",
            }
            salt = "django.contrib.sessions.backends.signed_cookies"
            client = Client()
            client.cookies[django_settings.SESSION_COOKIE_NAME] = signing.dumps(session, compress=True, salt=salt)
            assert client.get("/api/auth/me").status_code == 401
        assert not RefreshToken.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("html", [False, True], ids=["text", "html"])
def test_logs_error_pages_and_error_reports_hold_no_secret(request, mailoutbox, html, monkeypatch, caplog):
    """``html``: the reports contain the variables of every frame, which an operator may turn on."""
    for handler in logging.getLogger("django").handlers:
        if isinstance(handler, AdminEmailHandler):
            monkeypatch.setattr(handler, "include_html", html)
    caplog.set_level(logging.INFO)
    for name in ("tokens", "accounts", "factors"):
        caplog.set_level(logging.DEBUG, name)
    caplog.clear()
    use: Use = request.getfixturevalue("use")
    reports = [mail for mail in mailoutbox if mail.to == ["operator@example.org"]]
    assert len(reports) >= 5
    texts = [caplog.text, *(answer.content.decode() for answer in use.errors)]
    for mail in reports:
        texts += [mail.subject, mail.body, *(content for content, _ in mail.alternatives)]
    assert "signed_in" in texts[0]
    for text in ("RuntimeError at /probe/fails", OWNER, f"{ACCESS} = '****", "token = '****"):
        assert text in reports[0].body
    for secret in use.secrets:
        for text in texts:
            assert secret not in text, text[max(text.find(secret) - 200, 0) :][:400]


def test_a_changed_secret_key_without_a_fallback_signs_all_users_out_and_breaks_nothing(
    signed_in, user, settings, clock
):
    device, session = signed_in.cookies[DEVICE].value, RefreshToken.objects.get()
    settings.SECRET_KEY = ANOTHER_SECRET
    assert signed_in.get("/api/auth/me").status_code == 401
    assert post(signed_in, "/api/auth/refresh").status_code == 401
    assert signed_in.get("/").status_code == 200  # The sign-in form.
    assert post(signed_in, "/api/auth/logout").status_code == 204
    session.refresh_from_db()
    assert session.revoked_at is None, "A wrong deployment can be undone."
    login(signed_in, user)
    clock.forward(601)
    assert signed_in.get("/api/auth/me").status_code == 200
    assert (signed_in.cookies[DEVICE].value, Device.objects.count()) == (device, 1)
