"""Bad input to everything that reads one: a clear 4xx in the error format, never a 5xx, and nothing lost by it."""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import product
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from config import requests
from tests.browsers import ACCESS, DEVICE, FIREFOX, REFRESH, login, post
from tests.factories import PASSWORD
from tokens import refresh_tokens
from tokens.api.base import MAX_BODY
from tokens.keys import derive, keyring
from tokens.models import Device, RefreshToken, SecurityEvent

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

LOGIN, REFRESH_PATH, LOGOUT = "/api/auth/login", "/api/auth/refresh", "/api/auth/logout"
ME, SESSIONS, REAUTHENTICATE = "/api/auth/me", "/api/auth/sessions", "/api/auth/reauthenticate"
MEGABYTE = 2**20
NOTHING = "01939d2a-7c00-7abc-8def-0123456789ab"
Queries = Callable[[int], AbstractContextManager[Any]]

fuzz = hypothesis_settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture(autouse=True)
def _as_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes requests as the project's WSGI application does, and not as Django does."""
    monkeypatch.setattr("django.test.client.WSGIRequest", requests.WSGIRequest)


@pytest.fixture
def victim(api: Client, user: Any) -> Iterator[Client]:
    """A signed-in browser, to which bad input is given: nothing of it may cost the session."""
    login(api, user, device_name="Before")
    jar = api.cookies.copy()
    yield api
    api.cookies = jar
    assert api.get(ME).json()["session"]["device"]["name"] == "Before"
    assert not RefreshToken.objects.exclude(revoked_at=None).exists()
    assert post(api, REFRESH_PATH).status_code == 200


def assert_refused(response: Any, *statuses: int) -> dict[str, Any]:
    """Hold an answer to being a clear refusal, with one of these statuses, and return the problem."""
    assert 400 <= response.status_code < 500, (response.status_code, response.content)
    assert not statuses or response.status_code in statuses, (response.status_code, response.content)
    assert response["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = json.loads(response.content)
    assert problem["status"] == response.status_code
    assert problem["code"]
    return problem


def send(client: Client, path: str, body: bytes | str, method: str = "POST", **more: Any) -> Any:
    """Send these very bytes as JSON."""
    return client.generic(method, path, body, **{"content_type": "application/json", **more})


def forgeries() -> dict[str, str]:
    """Refresh tokens that somebody made who has no key of ours."""
    ring = keyring()
    token = refresh_tokens.RefreshToken(RefreshToken().id, bytes(16), 0)
    ours = refresh_tokens.dumps(token, ring.key_id, ring.mac_keys[ring.key_id])
    stranger = derive(["a stranger's secret"])
    return {
        "random": "latchkey_rt_" + "Ab1-_" * 15,
        "with another key under our id": refresh_tokens.dumps(token, ring.key_id, stranger.mac_keys[stranger.key_id]),
        "with another key": refresh_tokens.dumps(token, stranger.key_id, stranger.mac_keys[stranger.key_id]),
        "cut": ours[:-1],
        "extended": ours + "A",
        "padded": ours + "=",
        "with a flipped bit": ours[:40] + ("A" if ours[40] != "A" else "B") + ours[41:],
        "of another kind": "eyJhbGciOiJFZERTQSJ9.e30." + "A" * 86,
        "of non-ASCII letters": "é" * 87,
        "empty but for the prefix": "latchkey_rt_",
        "of a megabyte": "latchkey_rt_" + "A" * MEGABYTE,
    }


class TestAForgedRefreshToken:
    """It is refused by arithmetic: a flood of them costs the database nothing."""

    @pytest.fixture(autouse=True)
    def _both_modes(self, settings: Any) -> None:
        settings.TOKENS = {"MODES": ["cookie", "body"]}

    @pytest.mark.parametrize("name", forgeries())
    def test_in_the_cookie_costs_no_query(self, api, victim, name, django_assert_num_queries):
        stranger = Client()
        for path, statuses in ((REFRESH_PATH, {401}), (LOGOUT, {204}), (ME, {401})):
            stranger.cookies[REFRESH] = forgeries()[name]
            with django_assert_num_queries(0):
                response = stranger.get(path) if path == ME else post(stranger, path)
            assert response.status_code in statuses

    @pytest.mark.parametrize("name", forgeries())
    def test_in_the_body_costs_no_query(self, victim, name, django_assert_num_queries):
        with django_assert_num_queries(0):
            response = post(Client(), REFRESH_PATH, {"refresh_token": forgeries()[name]})
        problem = assert_refused(response, 401, 413)
        assert problem["code"] in {"session_ended", "payload_too_large"}

    @pytest.mark.parametrize("name", forgeries())
    def test_on_a_page_costs_no_query(self, victim, name, django_assert_num_queries):
        stranger = Client()
        stranger.cookies[REFRESH] = forgeries()[name]
        with django_assert_num_queries(0):
            response = stranger.get("/sign-in", headers={"Sec-Fetch-Mode": "navigate"})
        assert response.status_code == 200


TEXT_FIELDS = [
    (LOGIN, "email"),
    (LOGIN, "password"),
    (LOGIN, "device_name"),
    (LOGIN, "device_token"),
    (LOGIN, "mode"),
    (REFRESH_PATH, "refresh_token"),
    (LOGOUT, "refresh_token"),
    (REAUTHENTICATE, "password"),
]


class TestAField:
    """Each has a type, and takes no other."""

    @pytest.mark.parametrize(
        "value",
        [
            *["null", "true", "false", "0", "5", "1.5", "-1e999", "1e999", "[]", "{}", '["a"]', '{"a": "b"}', "[[[]]]"],
            *['""', '"a\\u0000b"', '"\\ud800"', '"a\\udfffb"', '"' + "x" * 5000 + '"'],
        ],
        ids=lambda value: value[:12],
    )
    def test_of_text_takes_no_other_type_and_no_text_that_is_none(self, victim, value):
        for path, field in TEXT_FIELDS:
            good = '"email": "nobody@example.org", "password": "x"' if path == LOGIN else '"other": 1'
            response = send(victim, path, f'{{{good}, "{field}": {value}}}')
            problem = assert_refused(response, 400)
            assert problem["code"] == "invalid", (path, field)
            assert set(problem["errors"]) == {field}

    @pytest.mark.parametrize("value", ["null", '"true"', '"yes"', "1", "0", "[]", "{}", '""', "1.0"])
    def test_of_yes_or_no_takes_nothing_else(self, victim, user, value):
        good = json.dumps({"email": user.email, "password": PASSWORD})[:-1]
        problem = assert_refused(send(victim, LOGIN, f'{good}, "remember": {value}}}'), 400)
        assert set(problem["errors"]) == {"remember"}

    @pytest.mark.parametrize(
        ("field", "longest"), [("email", 254), ("password", 4096), ("device_name", 100), ("device_token", 100)]
    )
    def test_has_a_length(self, victim, field, longest):
        given = {"email": "nobody@example.org", "password": "x"}
        assert post(Client(), LOGIN, {**given, field: "x" * longest}).status_code == 401
        assert set(assert_refused(post(victim, LOGIN, {**given, field: "x" * (longest + 1)}))["errors"]) == {field}

    def test_is_not_echoed(self, victim):
        secret = "hunter2" * 1000
        for path, field in TEXT_FIELDS:
            response = post(victim, path, {"email": "a", "password": "b", field: secret})
            assert b"hunter2" not in response.content

    def test_that_nobody_asked_for_is_ignored(self, api, user):
        more = {"is_staff": True, "user": 1, "session": {}, "id": None, "__proto__": {}, "a\0b": "\ud800", "": []}
        data = json.dumps({"email": user.email, "password": PASSWORD, **more})
        assert send(api, LOGIN, data).status_code == 200
        user.refresh_from_db()
        assert user.is_staff is False

    @pytest.mark.parametrize(
        "email",
        ["' OR 1=1 --", "a@b\r\nBcc: c@d", "%00", "${7*7}", "{{7*7}}", "a" * 254, "@", "\u202e@x", "İ@x.org", "ﬁ@x"],
    )
    def test_with_anything_for_an_address_is_an_unknown_account(self, victim, email):
        problem = assert_refused(post(victim, LOGIN, {"email": email, "password": "x"}), 401)
        assert problem["code"] == "invalid_credentials"


JSON = {"email": "nobody@example.org", "password": "x"}
BROKEN_BODIES: dict[str, bytes] = {
    "cut": b'{"email": "a"',
    "a brace": b"{",
    "single quotes": b"{'email': 'a'}",
    "a comma too many": b'{"email": "a",}',
    "a comment": b'{"email": "a"} // hello',
    "two objects": b"{}{}",
    "a blank": b" ",
    "NUL": b"\0",
    "NUL behind": b"{}\0",
    "NUL inside a string": b'{"email": "a\0b"}',
    "a raw line feed inside a string": b'{"email": "a\nb"}',
    "NaN": b'{"email": NaN, "password": "x"}',
    "NaN in a field of nobody's": b'{"email": "a", "password": "x", "other": NaN}',
    "Infinity": b'{"email": "a", "password": Infinity}',
    "minus Infinity": b'{"email": "a", "password": [-Infinity]}',
    "a number without end": b'{"email": ' + b"9" * 5000 + b"}",
    "a bad escape": b'{"email": "\\x41"}',
    "half an escape": b'{"email": "\\u12"}',
    "a list": b'[{"email": "a", "password": "b"}]',
    "a string": b'"text"',
    "a number": b"5",
    "true": b"true",
    "null": b"null",
    "a byte order mark": b"\xef\xbb\xbf" + json.dumps(JSON).encode(),
    "UTF-16": json.dumps(JSON).encode("utf-16"),
    "UTF-16 without a mark": json.dumps(JSON).encode("utf-16-le"),
    "UTF-32": json.dumps(JSON).encode("utf-32"),
    "Latin-1": '{"email": "é", "password": "x"}'.encode("latin-1"),
    "bytes that are no UTF-8": b'{"email": "\xff\xfe", "password": "x"}',
    "an overlong encoding": b'{"email": "\xc0\xaf", "password": "x"}',
    "an encoded surrogate": b'{"email": "\xed\xa0\x80", "password": "x"}',
    "a form": b"email=a&password=b",
    "XML": b"<login/>",
    "deep lists": b'{"email": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "deep objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "deep, and cut": b"[" * 60_000,
}


class TestABody:
    @pytest.mark.parametrize("name", BROKEN_BODIES)
    def test_that_is_no_json_object_is_malformed(self, victim, name):
        for path in (LOGIN, REFRESH_PATH, LOGOUT, REAUTHENTICATE):
            problem = assert_refused(send(victim, path, BROKEN_BODIES[name]), 400)
            assert problem["code"] == "malformed", path

    @pytest.mark.parametrize("name", ["a brace", "NaN", "a list", "deep lists", "UTF-16"])
    def test_that_is_no_json_object_renames_nothing(self, victim, name):
        session_id = victim.get(ME).json()["session"]["id"]
        response = send(victim, f"{SESSIONS}/{session_id}", BROKEN_BODIES[name], "PATCH")
        assert assert_refused(response, 400)["code"] == "malformed"

    @pytest.mark.parametrize("field", ["email", "password", "remember", "device_name", "mode", "other"])
    def test_may_nest_as_deep_as_it_likes_to_no_avail(self, victim, field):
        for depth in (50, 300, 500, 800, 900, 950, 990):
            for opening, closing in (("[", "]"), ('{"a":', "}")):
                value = opening * depth + "1" + closing * depth
                body = f'{{"email": "a", "password": "b", "{field}": {value}}}'
                assert_refused(send(victim, LOGIN, body), 400, 401)

    def test_may_be_as_long_as_our_limit_and_not_a_byte_longer(self, victim):
        body = json.dumps(JSON).encode()
        assert assert_refused(send(victim, LOGIN, body.ljust(MAX_BODY)), 401)["code"] == "invalid_credentials"
        assert assert_refused(send(victim, LOGIN, body.ljust(MAX_BODY + 1)), 413)["code"] == "payload_too_large"

    @pytest.mark.parametrize("path", [LOGIN, REFRESH_PATH, LOGOUT, REAUTHENTICATE, f"{SESSIONS}/{NOTHING}"])
    @pytest.mark.parametrize("size", [MEGABYTE, 3 * MEGABYTE])
    def test_that_is_huge_is_not_read(self, victim, path, size):
        method = "PATCH" if path.startswith(SESSIONS) else "POST"
        response = send(victim, path, b'{"email": "' + b"x" * size + b'"}', method)
        assert assert_refused(response, 413, 404)["code"] in {"payload_too_large", "not_found"}

    @pytest.mark.parametrize("length", ["-1", "abc", "", "1e3", "5", "٥"])
    def test_of_another_length_than_it_says_is_refused(self, victim, length):
        assert_refused(send(victim, LOGIN, json.dumps(JSON), CONTENT_LENGTH=length), 400)

    def test_that_breaks_off_is_no_error_of_ours(self, victim):
        class BrokenOff(io.BytesIO):
            def read(self, *size: Any) -> bytes:
                raise ConnectionResetError("the client went away")

        for path in (LOGIN, REFRESH_PATH, LOGOUT):
            response = send(victim, path, "{}", **{"wsgi.input": BrokenOff()})
            assert assert_refused(response, 400)["code"] == "malformed"

    def test_where_none_is_due_is_ignored(self, victim):
        for body in (b"{", b"\0" * 100, b"x" * MEGABYTE):
            assert victim.generic("GET", ME, body, content_type="nonsense").status_code == 200


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(
    ["email", "password", "remember", "device_name", "device_token", "mode", "refresh_token", "other"]
)


@fuzz
@given(data=json_values | st.dictionaries(fields, json_values, max_size=8))
def test_any_json_is_refused_in_the_error_format(db, data):
    for path in (LOGIN, REFRESH_PATH, REAUTHENTICATE):
        assert_refused(send(Client(), path, json.dumps(data)), 400, 401)
    assert send(Client(), LOGOUT, json.dumps(data)).status_code in {204, 400}


@fuzz
@given(body=st.binary(max_size=200), content_type=st.sampled_from(["application/json", "text/plain", ""]))
def test_any_bytes_are_refused_in_the_error_format(db, body, content_type):
    for path in (LOGIN, REFRESH_PATH, REAUTHENTICATE):
        assert_refused(send(Client(), path, body, content_type=content_type), 400, 401, 415)


@fuzz
@given(data=st.dictionaries(fields, json_values, max_size=4))
def test_any_json_does_a_session_no_harm(api, user, data):
    if ACCESS not in api.cookies:
        login(api, user)
    session_id = api.get(ME).json()["session"]["id"]
    assert_refused(send(api, REAUTHENTICATE, json.dumps(data)), 400, 401)
    response = send(api, f"{SESSIONS}/{session_id}", json.dumps(data), "PATCH")
    assert response.status_code in {200, 400}
    assert api.get(ME).status_code == 200


HUGE = "A" * MEGABYTE
BAD_TOKENS = {
    "a word": "nonsense",
    "a JWT of a megabyte": f"{HUGE}.{HUGE}.{HUGE}",
    "a refresh token of a megabyte": f"latchkey_rt_{HUGE}",
    "a megabyte of dots": "." * MEGABYTE,
    "empty parts": "..",
    "not ASCII": "é.é.é",
    "NUL": "a\0b",
    "quotes": '"a"',
    "a header's end": "a\r\nb",
    "unsigned": "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.",
    "JSON": '{"alg":"none"}',
}


class TestAToken:
    @pytest.mark.parametrize("name", BAD_TOKENS)
    def test_in_the_access_cookie_makes_a_stranger(self, victim, name):
        stranger = Client()
        stranger.cookies[ACCESS] = BAD_TOKENS[name]
        assert assert_refused(stranger.get(ME), 401)["code"] == "not_authenticated"
        victim.cookies[ACCESS] = BAD_TOKENS[name]
        assert victim.get(ME).status_code == 200  # By its refresh token.

    @pytest.mark.parametrize("name", BAD_TOKENS)
    def test_in_the_refresh_cookie_is_refused(self, victim, name):
        stranger = Client()
        for path in (ME, SESSIONS, REFRESH_PATH):
            stranger.cookies[REFRESH] = BAD_TOKENS[name]
            response = post(stranger, path) if path == REFRESH_PATH else stranger.get(path)
            assert assert_refused(response, 401)["code"] == "session_ended"

    @pytest.mark.parametrize("name", [name for name in BAD_TOKENS if name != "a header's end"])
    def test_in_the_header_is_refused(self, victim, name):
        headers = {"Authorization": f"Bearer {BAD_TOKENS[name]}"}
        assert assert_refused(Client().get(ME, headers=headers), 401)["code"] == "not_authenticated"
        # A Bearer header goes first: then no cookie is looked at.
        assert_refused(victim.get(ME, headers=headers), 401)

    @pytest.mark.parametrize("name", BAD_TOKENS)
    def test_in_the_body_is_refused(self, victim, name, settings):
        settings.TOKENS = {"MODES": ["cookie", "body"]}
        assert_refused(post(Client(), REFRESH_PATH, {"refresh_token": BAD_TOKENS[name]}), 400, 401, 413)

    @pytest.mark.parametrize("name", BAD_TOKENS)
    def test_in_the_devices_cookie_is_ignored(self, user, name):
        client = Client()
        client.cookies[DEVICE] = BAD_TOKENS[name]
        login(client, user)
        assert client.cookies[DEVICE].value != BAD_TOKENS[name]

    def test_of_another_kind_is_refused(self, victim):
        access, token = victim.cookies[ACCESS].value, victim.cookies[REFRESH].value
        stranger = Client()
        stranger.cookies[ACCESS], stranger.cookies[REFRESH] = token, access
        assert_refused(stranger.get(ME), 401)
        assert_refused(Client().get(ME, headers={"Authorization": f"Bearer {token}"}), 401)
        stranger.cookies[REFRESH] = victim.cookies[DEVICE].value
        assert_refused(post(stranger, REFRESH_PATH), 401)

    @pytest.mark.parametrize(
        "cookies", ["=", ";;;", "a=b; =c", f"{ACCESS}", f"{ACCESS}=; {REFRESH}=", "\xff=\xfe", "a" * MEGABYTE]
    )
    def test_may_be_lost_in_a_header_of_broken_cookies(self, victim, cookies):
        stranger = Client()
        assert_refused(stranger.get(ME, HTTP_COOKIE=cookies), 401)
        assert_refused(stranger.post(REFRESH_PATH, content_type="application/json", HTTP_COOKIE=cookies), 401)


class TestAHeader:
    @pytest.mark.parametrize(
        "value",
        [
            *[
                "Bearer",
                "Bearer ",
                "bearer x",
                "BEARER x y z",
                "Bearer Bearer x",
                "Bearer ,",
                "Bearer \xe9",
                "Bearer\0x",
            ],
            "Bearer " + "=" * MEGABYTE,
        ],
        ids=lambda value: ascii(value[:20]),
    )
    def test_authorization_by_bearer_is_refused_when_it_is_none(self, victim, value):
        assert_refused(Client().get(ME, headers={"Authorization": value}), 401)

    @pytest.mark.parametrize(
        "value",
        ["Basic YTpi", "Basic", "Token x", "", ",", "Digest a=b", "Negotiate", "\xff", "Bear er", "x" * MEGABYTE],
    )
    def test_authorization_by_anything_else_is_not_ours(self, victim, value):
        headers = {"Authorization": value}
        assert_refused(Client().get(ME, headers=headers), 401)
        assert victim.get(ME, headers=headers).status_code == 200

    CONTENT_TYPES = (
        "application/json; charset*=bogus''x",
        "application/json; charset*=utf-8''a%00b",
        "application/json; charset*0*=x''y",
        "application/json; charset=base64",
        "application/json; charset=idna",
        "application/json; charset=a\0b",
        "application/json; charset=\xff",
        "application/json;" + "a=b;" * 10_000,
        "multipart/form-data; boundary=\xff",
        "multipart/form-data; boundary=" + "x" * 1000,
        ";;;=;=",
        "\0",
    )

    @pytest.mark.parametrize("value", CONTENT_TYPES, ids=lambda value: ascii(value[:45]))
    def test_content_type_is_read_or_refused(self, victim, value):
        for path in (LOGIN, REFRESH_PATH, LOGOUT):
            for query, body in product(["", "?a=%ff", "?" + "a&" * 2000], [json.dumps(JSON).encode(), b""]):
                response = send(Client(), path + query, body, content_type=value)
                assert response.status_code in ({204, 415} if path == LOGOUT else {400, 401, 415})
                if response.status_code != 204:
                    assert_refused(response)

    @pytest.mark.parametrize("value", CONTENT_TYPES, ids=lambda value: ascii(value[:45]))
    def test_content_type_does_not_matter_to_who_reads_no_body(self, victim, value):
        assert victim.generic("GET", ME, b"", content_type=value).status_code == 200

    @pytest.mark.parametrize(
        "value", ["", ";", "\xff", "a/b;q=x", "*/*;q=nan", "a;b*=c''d", "," * 1000, "x" * MEGABYTE]
    )
    def test_of_what_is_accepted_changes_no_answer(self, victim, value):
        for name in ("Accept", "Accept-Language", "Accept-Encoding"):
            headers = {name: value}
            assert victim.get(ME, headers=headers).json()["user"]
            assert_refused(Client().get(ME, headers=headers), 401)
            assert_refused(Client().get("/api/nothing", headers=headers), 404)
            assert Client().get("/nothing", headers=headers).status_code == 404

    @pytest.mark.parametrize("value", ["", "null", "\xff", "https://", "testserver", "//testserver", "x" * MEGABYTE])
    def test_origin_that_is_none_is_another(self, victim, user, value):
        for path in (LOGIN, REFRESH_PATH, LOGOUT, REAUTHENTICATE):
            response = post(victim, path, {"email": user.email, "password": PASSWORD}, Origin=value)
            assert assert_refused(response, 403)["code"] == "cross_origin"

    @pytest.mark.parametrize(
        ("value", "ip"),
        [
            ("garbage", "127.0.0.1"),
            ("", "127.0.0.1"),
            (",", "127.0.0.1"),
            ("192.0.2.1, garbage", "127.0.0.1"),
            ("garbage, 192.0.2.1", "192.0.2.1"),
            ("192.0.2.1:443", "127.0.0.1"),
            ("[2001:db8::1]", "127.0.0.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("fe80::1%eth0", "fe80::1"),
            ("999.1.1.1", "127.0.0.1"),
            ("192.0.2.1\0", "127.0.0.1"),
            ("127.0.0.1, 127.0.0.1", "127.0.0.1"),
            ("١٢٧.0.0.1", "127.0.0.1"),
            ("'; DROP TABLE tokens_refreshtoken; --", "127.0.0.1"),
            ("192.0.2.1," * 10_000, "127.0.0.1"),
        ],
        ids=lambda value: ascii(value[:25]),
    )
    def test_x_forwarded_for_is_an_address_or_nothing(self, api, user, settings, value, ip):
        settings.TRUSTED_PROXIES = ["127.0.0.1"]
        response = post(api, LOGIN, {"email": user.email, "password": PASSWORD}, **{"X-Forwarded-For": value})
        assert response.json()["session"]["ip"] == ip

    @pytest.mark.parametrize(
        "agent",
        [
            "",
            " ",
            "\0",
            "a\0b/1.0",
            "a\0b/1 CFNetwork/1.2",
            "\x1b[2J/1.0 CFNetwork/711.1 Darwin/14.0",
            "\x01\x02\x7f\x80\x9f",
            "tab\there/1.0",
            "\xff\xfe\xe9/1.0",
            "<script>alert(1)</script>/1.0",
            "%s%n{}{0}/1.0",
            "x" * MEGABYTE,
            "/" * 10_000,
            "Mozilla/5.0 (" + "(" * 5000,
        ],
        ids=lambda agent: ascii(agent[:25]),
    )
    def test_user_agent_names_a_device_that_can_be_shown(self, api, user, agent):
        headers = {"User-Agent": agent}
        response = post(api, LOGIN, {"email": user.email, "password": PASSWORD}, **headers)
        assert response.status_code == 200
        name = response.json()["session"]["device"]["name"]
        assert 0 < len(name) <= 100
        assert name.isprintable()
        assert Device.objects.get().name == name
        assert_refused(post(Client(), LOGIN, {"email": user.email, "password": "wrong"}, **headers), 401)
        for event in SecurityEvent.objects.all():
            assert event.user_agent.isprintable()
            assert len(event.user_agent) <= 300
        api.cookies[ACCESS] = ""
        assert api.get(ME, headers=headers).status_code == 200


HEADERS = [
    *["Authorization", "Cookie", "Content-Type", "Accept", "Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Host"],
    *["X-Forwarded-For", "X-Forwarded-Proto", "User-Agent", "Accept-Language", "Referer"],
]


@fuzz
@given(
    name=st.sampled_from(HEADERS),
    value=st.text(st.characters(max_codepoint=255), max_size=60)
    | st.builds("{}{}".format, st.sampled_from(["Bearer ", "a=", "application/json;", f"{REFRESH}="]), st.text()),
)
def test_any_value_of_any_header_is_never_an_error_of_ours(db, name, value):
    value = value.encode("utf-8", "replace").decode("latin-1")  # As a server passes on what it was sent.
    key = name.upper().replace("-", "_")
    environ = {key if key.startswith("CONTENT_") else f"HTTP_{key}": value}
    for response in (
        Client(headers={"User-Agent": FIREFOX}).get(ME, **environ),
        Client(headers={"User-Agent": FIREFOX}).generic("POST", REFRESH_PATH, b"", **environ),
    ):
        assert_refused(response, 400, 401, 403, 415)


class TestAPath:
    IDS = (
        "nonsense",
        "1",
        "0",
        "-1",
        "null",
        "%00",
        "%ff",
        "%2e%2e",
        "%0a",
        "{}",
        "01939d2a-7c00-7abc-8def-0123456789a",
        "01939d2a-7c00-7abc-8def-0123456789abc",
        "01939d2a-7c00-7abc-8def-0123456789ag",
        "01939d2a-7c00-7abc-8def-0123456789ab%00",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "' OR 1=1 --",
        "%D9%A1" * 32,
        "é",
        "x" * 10_000,
    )

    @pytest.mark.parametrize("session_id", IDS, ids=lambda session_id: session_id[:40])
    def test_with_no_id_of_a_session_is_not_found(self, victim, session_id):
        path = f"{SESSIONS}/{session_id}"
        assert assert_refused(victim.delete(path), 404)["code"] == "not_found"
        response = victim.patch(path, {"device_name": "x"}, content_type="application/json")
        assert assert_refused(response, 404)["code"] == "not_found"

    @pytest.mark.parametrize("before", [*IDS[:16], "", "&before=x", "x&" * 2000])
    def test_with_a_bad_query_is_refused_or_ignored(self, victim, before):
        response = victim.get(f"{SESSIONS}?before={before}")
        if response.status_code != 200:
            assert_refused(response, 400, 404)


class TestTheServersOwnRequests:
    """Django reads ``Content-Type`` before anything could turn an error into an answer: ours read it without one."""

    @pytest.mark.parametrize("value", TestAHeader.CONTENT_TYPES[:6], ids=ascii)
    def test_by_wsgi_are_answered(self, db, value):
        handler = WSGIHandler()
        handler.request_class = requests.WSGIRequest
        body = json.dumps(JSON).encode()
        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": LOGIN,
            "QUERY_STRING": "a=%ff",
            "SERVER_NAME": "testserver",
            "SERVER_PORT": "443",
            "wsgi.url_scheme": "https",
            "wsgi.input": io.BytesIO(body),
            "CONTENT_LENGTH": str(len(body)),
            "CONTENT_TYPE": value,
        }
        started: list[Any] = []
        content = b"".join(handler(environ, lambda status, headers: started.append((status, dict(headers)))))
        assert started[0][0] == "415 Unsupported Media Type"
        assert started[0][1]["Content-Type"] == "application/problem+json"
        assert json.loads(content)["code"] == "unsupported_media_type"

    @pytest.mark.parametrize("value", TestAHeader.CONTENT_TYPES[:3], ids=ascii)
    def test_by_asgi_are_made(self, value):
        scope = {
            "type": "http",
            "method": "POST",
            "path": LOGIN,
            "query_string": b"a=%ff",
            "headers": [(b"host", b"testserver"), (b"content-type", value.encode())],
        }
        request = requests.ASGIRequest(scope, io.BytesIO(b"{}"))
        assert request.content_type == request.META["CONTENT_TYPE"] == ""
        assert request.GET["a"] == "\ufffd"

    def test_are_what_the_applications_make(self):
        from config import asgi

        assert asgi.application.request_class is requests.ASGIRequest

    @pytest.mark.parametrize("kind", [requests.WSGIRequest, requests.ASGIRequest])
    def test_are_otherwise_djangos(self, kind):
        assert [name for name in vars(kind) if not name.startswith("__")] == []
