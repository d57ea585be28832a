"""Introspection: which services may ask, and what the response says of a valid token and of any other."""

import json
from base64 import b64encode
from hashlib import sha256
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from django.core.checks import ERROR
from django.db import OperationalError
from django.test import Client

from tests.browsers import ACCESS, REFRESH, login, refresh
from tests.factories import UserFactory
from tests.tokens.api.paths import ME
from tests.tokens.api.steps import ENDINGS, assert_problem, bearer, change
from tests.tokens.protocol.jws import minted
from tests.tokens.web_steps import raising
from tokens import conf
from tokens.api import introspection
from tokens.conf import codec, introspection_clients, token_settings
from tokens.models import RefreshToken, Revocation
from tokens.service.revocation import revoke
from tokens.service.revocation_feed import feed

pytestmark = pytest.mark.django_db

PATH = "/api/auth/introspect"
SECRET = "a service's secret: as random as it should be"
INACTIVE = {"active": False}
FORM = "application/x-www-form-urlencoded"


def digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def basic(id: str = "api", secret: str = SECRET) -> str:
    return "Basic " + b64encode(f"{id}:{secret}".encode()).decode()


def send(body: str | bytes, content_type: str = FORM, path: str = PATH, **headers: str) -> Any:
    return Client().post(path, body, content_type=content_type, headers={"Authorization": basic(), **headers})


def ask(token: str, authorization: str = basic(), **parameters: str) -> Any:
    """Ask as a service does: with a form, HTTP Basic, and no header that only browsers send."""
    return send(urlencode({"token": token, **parameters}), Authorization=authorization)


def statuses(token: str, *services: tuple[str, str]) -> list[int]:
    """Ask as each of these services, by its id and secret."""
    return [ask(token, basic(*service)).status_code for service in services]


def is_active(token: str) -> bool:
    """Return whether the token is active. An inactive one must be answered with nothing else."""
    answer = ask(token).json()
    assert answer["active"] or answer == INACTIVE
    return bool(answer["active"])


@pytest.fixture(autouse=True)
def _on(settings: Any) -> None:
    """Configures a service that may ask. Without it every response would be 404."""
    settings.TOKENS = {"INTROSPECTION_CLIENTS": [f"api:{digest(SECRET)}"], "MODES": ["cookie", "scoped", "body"]}


@pytest.fixture
def token(signed_in: Client) -> str:
    """A valid access token of a user who is signed in by cookie. A made-up one would be inactive in any case."""
    return str(signed_in.cookies[ACCESS].value)


class TestAValidToken:
    def test_is_described(self, clock, api, user):
        session_id = login(api, user)["session"]["id"]
        claims = codec().loads(api.cookies[ACCESS].value, clock.now).claims
        response = ask(api.cookies[ACCESS].value)
        assert (response.status_code, response["Content-Type"]) == (200, "application/json")
        assert response.json() == {
            "active": True,
            "sub": str(user.pk),
            "client_id": "latchkey",
            "exp": claims["exp"],
            "iat": int(clock.now.timestamp()),
            "iss": "https://testserver",
            "aud": "https://testserver",
            "jti": claims["jti"],
            "sid": session_id,
            "auth_time": int(clock.now.timestamp()),
            "amr": ["pwd"],
            "acr": "aal1",
            "token_type": "Bearer",
        }

    @pytest.mark.parametrize("mode", ["cookie", "scoped", "body"])
    def test_may_be_of_any_mode(self, mode, api, user):
        answer = login(api, user, mode=mode)
        token = answer["access_token"] if mode == "body" else api.cookies[ACCESS].value
        assert ask(token).json()["sid"] == answer["session"]["id"]

    def test_may_be_of_subdomain_mode(self, api, user, settings):
        settings.ORIGIN = "https://auth.example.org"
        settings.TOKENS = {**settings.TOKENS, "MODES": ["subdomain"], "COOKIE_DOMAIN": "example.org"}
        answer = login(api, user)
        assert ask(api.cookies["__Secure-access"].value).json()["sid"] == answer["session"]["id"]

    def test_may_be_sent_with_any_hint(self, token):
        for hint in ("access_token", "refresh_token", "something new", ""):
            assert ask(token, token_type_hint=hint).json()["active"] is True, hint

    def test_costs_one_query_and_changes_nothing(self, token, django_assert_num_queries):
        before = RefreshToken.objects.values().get()
        with django_assert_num_queries(1):
            assert is_active(token)
        assert RefreshToken.objects.values().get() == before

    def test_stays_active_after_a_refresh_until_it_expires(self, clock, token, signed_in):
        clock.forward(100)
        assert refresh(signed_in).status_code == 200
        clock.forward(469)
        assert is_active(token)
        clock.forward(31)
        assert not is_active(token)


def test_no_response_is_stored(token):
    for response in (ask(token), ask("garbage"), ask(token, basic(secret="wrong"))):
        assert (response["Cache-Control"], len(response.cookies)) == ("no-store", 0)


ENDED = {
    **ENDINGS,
    "a session of another user": lambda row: change(row, user=UserFactory()),
    "a user who was deactivated in a query": lambda row: type(row.user).objects.update(is_active=False),
}
GARBAGE = ["x", " ", "a.b.c", "é", "☃", "\n", "null", "{}", "A" * 9000, "..", "latchkey_rt_" + "A" * 75]


class TestAnInactiveToken:
    """`tests.attacks` presents tokens that this server did not sign, and introspects each of them."""

    def test_is_that_of_a_revoked_session_before_the_feed_is_read(self, token, monkeypatch):
        assert is_active(token)
        monkeypatch.setattr(feed, "add", lambda ids: None)
        revoke(RefreshToken.objects.all(), RefreshToken.Reason.SIGNED_OUT)
        Revocation.objects.all().delete()  # So another process could not have read of it yet.
        assert not feed.is_revoked(RefreshToken.objects.get().id)
        assert Client().get(ME, headers=bearer(token)).status_code == 401
        assert not is_active(token)

    @pytest.mark.parametrize("event", ENDED.values(), ids=ENDED)
    def test_is_that_of_an_ended_session(self, event, token):
        assert is_active(token)
        event(RefreshToken.objects.get())
        assert not is_active(token)

    def test_is_a_refresh_token(self, signed_in):
        for hint in ("refresh_token", "access_token"):
            assert ask(signed_in.cookies[REFRESH].value, token_type_hint=hint).json() == INACTIVE

    def test_is_one_of_a_session_that_never_existed(self, clock):
        assert not is_active(minted(codec(), now=clock.now))

    def test_is_a_text_that_is_not_a_token_and_costs_no_query(self, django_assert_num_queries, subtests):
        for text in GARBAGE:
            with subtests.test(text[:15]), django_assert_num_queries(0):
                response = ask(text)
                assert (response.status_code, response.json()) == (200, INACTIVE)


WRONG = {
    "nothing": "",
    "another secret": basic(secret="another"),
    "no secret": basic(secret=""),
    "another id": basic("web"),
    "no id": basic(""),
    "id and secret swapped": basic(SECRET, "api"),
    "the digest": basic(secret=digest(SECRET)),
    "no colon": "Basic " + b64encode(b"api").decode(),
    "no base64": "Basic api:secret",
    "a letter outside of ASCII": "Basic é",
    "no UTF-8": "Basic " + b64encode(b"api:\xff\xfe").decode(),
    "no value": "Basic",
    "a NUL": basic(secret=SECRET + "\0"),
    "a word after the value": basic() + " more",
    "a long text": "Basic " + "A" * 60_000,
    "another scheme": basic().replace("Basic", "Digest"),
    "a Bearer token": "Bearer " + SECRET,
}


class TestTheService:
    def test_gets_404_if_none_is_configured(self, token, settings):
        settings.TOKENS = {}
        missing = Client().get("/api/nothing")
        for method in ("get", "post", "put", "options"):
            response = getattr(Client(), method)(PATH, headers={"Authorization": basic()})
            assert (response.status_code, response.content) == (404, missing.content)
        assert ask(token).status_code == 404

    def test_must_be_configured_and_is_asked_for_basic_authentication(self, token, subtests):
        for name, authorization in WRONG.items():
            with subtests.test(name):
                response = ask(token, authorization)
                assert_problem(response, 401, "invalid_client")
                assert response["WWW-Authenticate"] == 'Basic realm="introspection", charset="UTF-8"'
                assert SECRET not in response.content.decode()

    def test_is_not_a_user_who_is_signed_in(self, signed_in, token):
        for headers in ({}, bearer(token)):
            assert signed_in.post(PATH, f"token={token}", content_type=FORM, headers=headers).status_code == 401
        assert ask(token, f"Bearer {token}").status_code == 401

    def test_may_not_send_its_secret_in_the_body(self, token):
        assert ask(token, "", client_id="api", client_secret=SECRET).status_code == 401

    def test_may_write_the_scheme_in_any_case(self, token):
        for scheme in ("basic", "BASIC", "Basic "):
            assert ask(token, basic().replace("Basic", scheme)).status_code == 200, scheme

    def test_may_send_its_secret_form_encoded_or_as_it_is(self, token, settings):
        """RFC 6749 section 2.3.1 demands the encoding; curl and many libraries do not encode."""
        for secret in ("a b+c/d=%41&é:☃", "+", "%", "%2B", "a:b:c"):
            settings.TOKENS = {"INTROSPECTION_CLIENTS": [f"my%api:{digest(secret)}"]}
            encoded = quote_plus("my%api"), quote_plus(secret)
            assert statuses(token, ("my%api", secret), encoded) == [200, 200], secret

    def test_has_its_own_secret(self, token, settings):
        settings.TOKENS = {"INTROSPECTION_CLIENTS": [f"one:{digest('1')}", f"two:{digest('2')}"]}
        assert statuses(token, ("one", "1"), ("two", "2"), ("one", "2"), ("two", "1")) == [200, 200, 401, 401]

    def test_has_two_secrets_while_one_replaces_the_other(self, token, settings):
        settings.TOKENS = {"INTROSPECTION_CLIENTS": [f"api:{digest('old')}", f"api:{digest('new')}"]}
        assert statuses(token, ("api", "old"), ("api", "new")) == [200, 200]
        settings.TOKENS = {"INTROSPECTION_CLIENTS": [f"api:{digest('new')}"]}
        assert statuses(token, ("api", "old"), ("api", "new")) == [401, 200]

    def test_is_compared_with_every_entry_so_that_the_time_tells_nothing(self, monkeypatch, settings):
        settings.TOKENS = {"INTROSPECTION_CLIENTS": [f"{n}:{digest(str(n))}" for n in range(5)]}
        compared: list[Any] = []

        def compare(one: bytes, other: bytes) -> bool:
            compared.append(one)
            return one == other

        monkeypatch.setattr(introspection_clients, "compare_digest", compare)
        for authorization in (basic("0", "0"), basic("4", "4"), basic("unknown", "x")):
            compared.clear()
            ask("x", authorization)
            assert len(compared) == 2 * 2 * 5  # The id and the secret, as they are and decoded, of each entry.

    def test_that_is_rejected_is_logged_without_what_it_sent(self, token, caplog):
        with caplog.at_level("INFO", "tokens"):
            ask(token, basic(secret="nearly right"))
        assert 'event="introspection refused" ip=127.0.0.1' in caplog.text
        for secret in ("nearly right", token, basic(secret="nearly right")):
            assert secret not in caplog.text

    @pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Mode": "cors", "User-Agent": "node"}], ids=["curl", "node"])
    def test_needs_no_origin(self, headers, token):
        assert send(f"token={token}", **headers).status_code == 200

    def test_is_not_a_page_of_another_origin(self, token):
        assert_problem(send(f"token={token}", Origin="https://evil.example"), 403, "cross_origin")


BAD_FORMS = {
    "nothing": "",
    "an empty token": "token=",
    "no equals sign": "token",
    "another parameter": "token_type_hint=access_token",
    "capitals": "TOKEN=x",
    "two tokens": "token=a&token=b",
    "the same token twice": "token=a&token=a",
    "no UTF-8": "token=%ff%fe",
    "raw bytes": b"token=\xff",
    "half a surrogate pair": "token=%ed%a0%80",
    "a NUL": "token=%00",
    "too many parameters": "&".join(f"p{n}=x" for n in range(50)) + "&token=x",
    "JSON": '{"token": "x"}',
}
OTHER_TYPES = ["application/json", "multipart/form-data; boundary=x", "text/plain", "", "nonsense"]


class TestTheRequest:
    def test_must_hold_one_token(self, subtests):
        for name, body in BAD_FORMS.items():
            with subtests.test(name):
                assert assert_problem(send(body), 400)["code"] in {"invalid", "malformed"}

    def test_is_not_read_if_it_is_too_large(self):
        assert send("token=" + "A" * 70_000).status_code == 413

    def test_must_be_a_form(self, token):
        for content_type in OTHER_TYPES:
            body = json.dumps({"token": token}) if content_type == "application/json" else f"token={token}"
            assert FORM in assert_problem(send(body, content_type), 415)["detail"], content_type

    def test_may_name_a_charset(self, token):
        for content_type in (f"{FORM}; charset=utf-8", FORM.upper(), f"{FORM};charset=bogus"):
            assert send(f"token={token}", content_type).status_code == 200, content_type

    def test_must_be_a_post_request(self, token):
        for method in ("get", "put", "patch", "delete"):
            response = getattr(Client(), method)(f"{PATH}?token={token}", headers={"Authorization": basic()})
            assert (response.status_code, response["Allow"]) == (405, "POST, OPTIONS"), method

    def test_may_have_a_path_with_a_slash_at_the_end(self, token):
        assert send(f"token={token}", path=f"{PATH}/").json()["active"] is True

    def test_is_answered_with_503_if_the_database_is_down(self, token, monkeypatch):
        monkeypatch.setattr(introspection, "is_active", raising(OperationalError))
        assert_problem(ask(token), 503, "unavailable")


BAD_ENTRIES = {
    "nothing": "",
    "a name only": "api",
    "a secret only": SECRET,
    "a secret that is not hashed": f"api:{SECRET}",
    "a digest only": digest("x"),
    "a digest that is too short": f"api:{digest('x')[:-1]}",
    "a digest in capitals": f"api:{digest('x').upper()}",
    "an empty name": f":{digest('x')}",
    "a name with a space": f"a b:{digest('x')}",
    "a name with a colon": f"a:b:{digest('x')}",
    "a name that is not ASCII": f"é:{digest('x')}",
    "a line break at the end": f"api:{digest('x')}\n",
}


@pytest.mark.parametrize("entry", BAD_ENTRIES.values(), ids=BAD_ENTRIES)
def test_an_entry_of_the_setting_that_cannot_be_read_is_rejected_and_not_repeated(entry, settings):
    settings.TOKENS = {"INTROSPECTION_CLIENTS": [f"good:{digest('x')}", entry]}
    [message] = conf.read()[1]
    assert (message.id, message.level) == ("tokens.E026", ERROR)
    assert "entry 2" in message.msg
    assert not entry or entry not in message.msg + message.hint


def test_the_settings_do_not_show_digests(settings):
    assert digest(SECRET) not in repr(token_settings())
    assert "api" in repr(token_settings().introspectors)
