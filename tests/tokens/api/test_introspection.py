"""Introspection: who may ask, what is said of a good token, and that nothing is said of any other."""

import json
from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import quote_plus, urlencode
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError
from django.test import Client

from tests.browsers import ACCESS, REFRESH, login, post, refresh
from tests.factories import UserFactory
from tests.tokens.pems import pem
from tokens import conf
from tokens.access_tokens import Codec, codec
from tokens.conf import token_settings
from tokens.keys import derive, keyring
from tokens.models import RefreshToken, Revocation
from tokens.service.ending import end
from tokens.service.feed import feed

pytestmark = pytest.mark.django_db

PATH = "/api/auth/introspect"
SECRET = "a service's secret: as random as it should be"
INACTIVE = {"active": False}
FORM = "application/x-www-form-urlencoded"


def digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def basic(id: str = "api", secret: str = SECRET) -> str:
    return "Basic " + b64encode(f"{id}:{secret}".encode()).decode()


def ask(token: str, authorization: str = basic(), **parameters: str) -> Any:
    """Ask as a service does: a form, HTTP Basic, and no header that only browsers send."""
    body = urlencode({"token": token, **parameters})
    return Client().post(PATH, body, content_type=FORM, headers={"Authorization": authorization})


def send(body: str | bytes, content_type: str = FORM, **headers: str) -> Any:
    return Client().post(PATH, body, content_type=content_type, headers={"Authorization": basic(), **headers})


@pytest.fixture(autouse=True)
def _on(settings: Any) -> None:
    """There is a service that may ask."""
    settings.TOKENS = {"INTROSPECTION_CLIENTS": [f"api:{digest(SECRET)}"], "MODES": ["cookie", "scoped", "body"]}


@pytest.fixture
def token(api: Client, user: Any) -> str:
    """A good access token of somebody who is signed in by cookie."""
    login(api, user)
    return str(api.cookies[ACCESS].value)


def session() -> RefreshToken:
    return RefreshToken.objects.get()


# A good token


def test_a_good_token_is_told_about(api, user, clock):
    data = login(api, user)
    claims = codec().loads(api.cookies[ACCESS].value, clock.now).claims
    response = ask(api.cookies[ACCESS].value)
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert response.json() == {
        "active": True,
        "sub": str(user.pk),
        "client_id": "latchkey",
        "exp": claims["exp"],
        "iat": int(clock.now.timestamp()),
        "iss": "https://testserver",
        "aud": "https://testserver",
        "jti": claims["jti"],
        "sid": data["session"]["id"],
        "auth_time": int(clock.now.timestamp()),
        "token_type": "Bearer",
    }


@pytest.mark.parametrize("mode", ["cookie", "scoped", "body"])
def test_tokens_of_every_mode_are_told_about(mode, api, user):
    data = login(api, user, mode=mode)
    token = data["access_token"] if mode == "body" else api.cookies[ACCESS].value
    assert ask(token).json()["sid"] == data["session"]["id"]


def test_tokens_of_subdomain_mode_are_told_about(api, user, settings):
    settings.ORIGIN = "https://auth.example.org"
    settings.TOKENS = {**settings.TOKENS, "MODES": ["subdomain"], "COOKIE_DOMAIN": "example.org"}
    data = login(api, user)
    assert ask(api.cookies["__Secure-access"].value).json()["sid"] == data["session"]["id"]


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_tokens_of_every_algorithm_are_told_about(algorithm, api, user, settings):
    settings.TOKENS = {**settings.TOKENS, "ALGORITHM": algorithm, "SIGNING_KEYS": [pem(algorithm)]}
    login(api, user)
    assert ask(api.cookies[ACCESS].value).json()["active"] is True


def test_no_answer_is_stored(token, settings):
    for response in (ask(token), ask("garbage"), ask(token, basic(secret="wrong"))):
        assert response["Cache-Control"] == "no-store"
        assert not response.cookies


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "something new", ""])
def test_the_hint_makes_no_difference(hint, token):
    assert ask(token, token_type_hint=hint).json()["active"] is True


def test_a_good_token_costs_one_query(token, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert ask(token).json()["active"] is True


def test_garbage_costs_none(user, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert ask("garbage").json() == INACTIVE


def test_a_token_of_before_a_refresh_is_good_until_it_expires(clock, token, api):
    clock.forward(100)
    assert refresh(api).status_code == 200
    assert ask(token).json()["active"] is True


def test_asking_changes_nothing(token):
    before = RefreshToken.objects.values().get()
    ask(token)
    assert RefreshToken.objects.values().get() == before


# Any other token


def test_an_expired_token_is_not_good(clock, token):
    clock.forward(569)
    assert ask(token).json()["active"] is True
    clock.forward(31)
    assert ask(token).json() == INACTIVE


def test_a_revoked_session_is_seen_at_once_and_not_when_the_feed_is_read(token, api, monkeypatch):
    assert ask(token).json()["active"] is True
    monkeypatch.setattr(feed, "add", lambda ids: None)
    end(RefreshToken.objects.all(), RefreshToken.Reason.SIGNED_OUT)
    Revocation.objects.all().delete()  # What another process would have heard by now is not even there.
    assert not feed.is_revoked(session().id)
    assert api.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    assert ask(token).json() == INACTIVE


ENDED: list[tuple[str, Callable[[Client, Any], Any]]] = [
    ("signed out", lambda api, user: post(api, "/api/auth/logout")),
    ("the row is gone", lambda api, user: RefreshToken.objects.all().delete()),
    ("the user is gone", lambda api, user: user.delete()),
    ("the user was switched off", lambda api, user: type(user).objects.filter(pk=user.pk).update(is_active=False)),
    (
        "switched off by SQL",
        lambda api, user: get_user_model()._base_manager.filter(pk=user.pk).update(is_active=False),
    ),
    ("another password", lambda api, user: (user.set_password("another password"), user.save())),
    ("the session has expired", lambda api, user: RefreshToken.objects.update(expires_at=session().created_at)),
    ("unused for too long", lambda api, user: RefreshToken.objects.update(idle_expires_at=session().created_at)),
    ("another user's", lambda api, user: RefreshToken.objects.update(user=UserFactory())),
]


@pytest.mark.parametrize(("why", "happen"), ENDED, ids=[row[0] for row in ENDED])
def test_a_token_whose_session_does_not_go_on_is_not_good(why, happen, token, api, user):
    assert ask(token).json()["active"] is True
    happen(api, user)
    assert ask(token).json() == INACTIVE


def test_a_refresh_token_is_not_told_about(api, user):
    login(api, user)
    for hint in ("refresh_token", "access_token"):
        assert ask(api.cookies[REFRESH].value, token_type_hint=hint).json() == INACTIVE


def test_a_token_that_is_not_ours_is_not_good(token, clock):
    header, claims, signature = token.split(".")
    strangers = Codec(derive(["a stranger's secret"]), "https://testserver", "https://testserver", "latchkey")
    others = Codec(keyring(), "https://testserver", "https://other.example", "latchkey")
    forged = [
        f"{header}.{claims}.{signature[:-4]}AAAA",
        f"{header}.{claims}.",
        f"{header}.{claims}",
        *(_minted(other, clock) for other in (strangers, others)),
    ]
    for text in forged:
        assert ask(text).json() == INACTIVE


def test_a_token_of_a_session_that_never_was_is_not_good(clock):
    assert ask(_minted(codec(), clock)).json() == INACTIVE


GARBAGE = ["x", " ", "a.b.c", "é", "☃", "\n", "null", "{}", "A" * 9000, "..", "latchkey_rt_" + "A" * 75]


@pytest.mark.parametrize("text", GARBAGE, ids=lambda text: ascii(text[:15]))
def test_garbage_is_not_good(text):
    response = ask(text)
    assert (response.status_code, response.json()) == (200, INACTIVE)


# Who may ask


def test_nobody_asks_while_no_service_is_named(token, settings):
    settings.TOKENS = {}
    missing = Client().get("/api/nothing")
    for method in ("get", "post", "put", "options"):
        response = getattr(Client(), method)(PATH, headers={"Authorization": basic()})
        assert (response.status_code, response.content) == (404, missing.content)
    assert ask(token).status_code == 404


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
    "not even ASCII": "Basic é",
    "no UTF-8": "Basic " + b64encode(b"api:\xff\xfe").decode(),
    "no value": "Basic",
    "a NUL": basic(secret=SECRET + "\0"),
    "something behind": basic() + " more",
    "much": "Basic " + "A" * 60_000,
    "another scheme": basic().replace("Basic", "Digest"),
    "a bearer token": "Bearer " + SECRET,
}


@pytest.mark.parametrize("authorization", WRONG.values(), ids=WRONG)
def test_whoever_is_not_named_is_refused_and_asked_for_basic_authentication(authorization, token):
    response = ask(token, authorization)
    assert response.status_code == 401
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "invalid_client"
    assert response["WWW-Authenticate"] == 'Basic realm="introspection", charset="UTF-8"'
    assert SECRET not in response.content.decode()


def test_a_person_who_is_signed_in_is_not_a_service(api, token):
    assert api.post(PATH, f"token={token}", content_type=FORM).status_code == 401
    bearer = {"Authorization": f"Bearer {token}"}
    assert Client().post(PATH, f"token={token}", content_type=FORM, headers=bearer).status_code == 401


def test_a_secret_in_the_body_is_not_looked_at(token):
    assert ask(token, "", client_id="api", client_secret=SECRET).status_code == 401


@pytest.mark.parametrize("scheme", ["basic", "BASIC", "Basic "])
def test_the_scheme_has_any_case(scheme, token):
    assert ask(token, basic().replace("Basic", scheme)).status_code == 200


@pytest.mark.parametrize("secret", ["a b+c/d=%41&é:☃", "+", "%", "%2B", "a:b:c"])
def test_a_secret_is_taken_form_encoded_and_as_it_is(secret, token, settings):
    """RFC 6749 section 2.3.1 wants it encoded; curl and many libraries do not."""
    settings.TOKENS = {"INTROSPECTION_CLIENTS": [f"my%api:{digest(secret)}"]}
    assert ask(token, basic("my%api", secret)).status_code == 200
    assert ask(token, basic(quote_plus("my%api"), quote_plus(secret))).status_code == 200


def test_several_services_ask_each_with_its_own_secret(token, settings):
    settings.TOKENS = {"INTROSPECTION_CLIENTS": [f"one:{digest('1')}", f"two:{digest('2')}"]}
    assert [ask(token, basic(*pair)).status_code for pair in (("one", "1"), ("two", "2"))] == [200, 200]
    assert [ask(token, basic(*pair)).status_code for pair in (("one", "2"), ("two", "1"))] == [401, 401]


def test_a_service_has_two_secrets_while_one_takes_the_others_place(token, settings):
    settings.TOKENS = {"INTROSPECTION_CLIENTS": [f"api:{digest('old')}", f"api:{digest('new')}"]}
    assert {ask(token, basic("api", secret)).status_code for secret in ("old", "new")} == {200}
    settings.TOKENS = {"INTROSPECTION_CLIENTS": [f"api:{digest('new')}"]}
    assert [ask(token, basic("api", secret)).status_code for secret in ("old", "new")] == [401, 200]


def test_every_secret_is_compared_whatever_the_others_gave(monkeypatch, settings):
    settings.TOKENS = {"INTROSPECTION_CLIENTS": [f"{n}:{digest(str(n))}" for n in range(5)]}
    compared: list[Any] = []
    monkeypatch.setattr(
        "tokens.introspectors.compare_digest", lambda *pair: compared.append(pair) or pair[0] == pair[1]
    )
    for authorization in (basic("0", "0"), basic("4", "4"), basic("stranger", "x")):
        compared.clear()
        ask("x", authorization)
        assert len(compared) == 2 * 2 * 5  # Id and secret, as they are and decoded, of each.


def test_a_refused_service_is_written_to_the_log_without_what_it_sent(token, caplog):
    with caplog.at_level("INFO", "tokens"):
        ask(token, basic(secret="nearly right"))
    assert 'event="introspection refused" ip=127.0.0.1' in caplog.text
    for secret in ("nearly right", token, basic(secret="nearly right")):
        assert secret not in caplog.text


# Its origin


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Mode": "cors", "User-Agent": "node"}], ids=["curl", "node"])
def test_the_origin_rule_is_not_in_the_way_of_services(headers, token):
    assert send(f"token={token}", **headers).status_code == 200


def test_a_page_of_another_origin_does_not_ask(token):
    response = send(f"token={token}", Origin="https://evil.example")
    assert (response.status_code, response.json()["code"]) == (403, "cross_origin")


# What is sent


BAD = [
    # body, why
    ("", "nothing"),
    ("token=", "no token"),
    ("token", "not even an equals sign"),
    ("token_type_hint=access_token", "another parameter alone"),
    ("TOKEN=x", "names are in small letters"),
    ("token=a&token=b", "twice"),
    ("token=a&token=a", "twice the same"),
    ("token=%ff%fe", "no UTF-8"),
    (b"token=\xff", "raw bytes"),
    ("token=%ed%a0%80", "half a surrogate pair"),
    ("token=%00", "a NUL"),
    ("&".join(f"p{n}=x" for n in range(50)) + "&token=x", "many parameters"),
    ('{"token": "x"}', "JSON that says it is a form"),
]


@pytest.mark.parametrize(("body", "why"), BAD, ids=[row[1] for row in BAD])
def test_a_form_without_one_token_is_refused(body, why):
    response = send(body)
    assert response.status_code == 400, response.content
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["code"] in {"invalid", "malformed"}


def test_a_body_beyond_all_measure_is_not_read():
    assert send("token=" + "A" * 70_000).status_code == 413


@pytest.mark.parametrize(
    "content_type", ["application/json", "multipart/form-data; boundary=x", "text/plain", "", "nonsense"]
)
def test_what_is_no_form_is_refused(content_type, token):
    body = json.dumps({"token": token}) if content_type == "application/json" else f"token={token}"
    response = send(body, content_type)
    assert response.status_code == 415
    assert "application/x-www-form-urlencoded" in response.json()["detail"]


@pytest.mark.parametrize("content_type", [f"{FORM}; charset=utf-8", FORM.upper(), f"{FORM};charset=bogus"])
def test_a_form_may_name_its_charset(content_type, token):
    assert send(f"token={token}", content_type).status_code == 200


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_only_post_asks(method, token):
    response = getattr(Client(), method)(f"{PATH}?token={token}", headers={"Authorization": basic()})
    assert response.status_code == 405
    assert "POST" in response["Allow"]


def test_a_trailing_slash_is_neither_needed_nor_refused(token):
    response = Client().post(f"{PATH}/", f"token={token}", content_type=FORM, headers={"Authorization": basic()})
    assert response.json()["active"] is True


def test_a_database_that_is_down_is_told_as_such(token, monkeypatch):
    def fail(*args: Any) -> None:
        raise OperationalError("the server went away")

    monkeypatch.setattr("tokens.api.introspection.is_active", fail)
    response = ask(token)
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")


# The setting


@pytest.mark.parametrize(
    "entry",
    ["", "api", SECRET, f"api:{SECRET}", f"api:{digest('x')[:-1]}", f"api:{digest('x').upper()}", f":{digest('x')}",
     f"a b:{digest('x')}", f"a:b:{digest('x')}", f"é:{digest('x')}", f"api:{digest('x')}\n", digest("x")],
)  # fmt: skip
def test_an_entry_that_cannot_be_read_is_refused_and_not_repeated(entry, settings):
    settings.TOKENS = {"INTROSPECTION_CLIENTS": [f"good:{digest('x')}", entry]}
    [mistake] = conf.read()[1]
    assert (mistake.id, mistake.serious) == ("E026", True)
    assert "entry 2" in mistake.message
    assert not entry or entry not in mistake.message + mistake.hint


def test_the_settings_do_not_show_digests(settings):
    assert digest(SECRET) not in repr(token_settings())
    assert "api" in repr(token_settings().introspectors)


def _minted(by: Codec, clock: Any) -> str:
    return by.dumps(
        subject="42",
        session_id=uuid4(),
        generation=0,
        now=clock.now,
        lifetime=timedelta(minutes=10),
        session_ends_at=clock.now + timedelta(days=1),
        authenticated_at=clock.now,
        methods=["pwd"],
    )[0]
