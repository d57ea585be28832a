"""Bad input to every endpoint gets a 4xx in the error format, never a 5xx, and costs no session."""

import io
import json
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.test import Client, RequestFactory
from django.test import client as django_client
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.browsers import ACCESS, DEVICE, FIREFOX, REFRESH, login, post
from tests.factories import PASSWORD
from tests.tokens.api.paths import LOGIN, LOGOUT, ME, NO_SESSION, REAUTHENTICATE, REFRESH_PATH, SESSIONS
from tests.tokens.api.steps import assert_problem, bearer, client_with
from tokens.api.base import MAX_BODY
from tokens.conf import keyring
from tokens.models import Device, RefreshToken, SecurityEvent
from tokens.protocol import refresh_tokens
from tokens.protocol.keys import derive
from tokens.web import requests

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite"), pytest.mark.long]

MEGABYTE = 2**20
UNKNOWN = {"email": "nobody@example.org", "password": "x"}

fuzz = hypothesis_settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture(autouse=True)
def _as_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes requests of the class that the WSGI application uses. Without it Django's class would be tested."""
    monkeypatch.setattr(django_client, "WSGIRequest", requests.WSGIRequest)


@pytest.fixture
def victim(api: Client, user: Any) -> Iterator[Client]:
    """A signed-in browser. Without it a test would not notice that bad input ends or changes the sender's session."""
    login(api, user, device_name="Before")
    cookies = api.cookies.copy()
    yield api
    api.cookies = cookies
    assert api.get(ME).json()["session"]["device"]["name"] == "Before"
    assert not RefreshToken.objects.exclude(revoked_at=None).exists()
    assert post(api, REFRESH_PATH).status_code == 200


def assert_rejected(response: Any, *statuses: int) -> str:
    """Fail unless the response is a problem with one of these statuses. Return its code."""
    assert response.status_code in statuses, (response.status_code, response.content)
    return str(assert_problem(response, response.status_code)["code"])


def assert_not_authenticated(response: Any) -> None:
    assert_problem(response, 401, "not_authenticated")
    assert response["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def send(client: Client, path: str, body: bytes | str, method: str = "POST", **more: Any) -> Any:
    """Send exactly these bytes, as JSON unless ``more`` holds another content type."""
    return client.generic(method, path, body, **{"content_type": "application/json", **more})


def short(value: Any) -> str:
    return ascii(value[:40])


BAD_TOKENS = {
    "a word": "nonsense",
    "a JWT of three megabytes": ".".join(["A" * MEGABYTE] * 3),
    "a refresh token of a megabyte": "latchkey_rt_" + "A" * MEGABYTE,
    "a megabyte of dots": "." * MEGABYTE,
    "empty parts": "..",
    "parts that are not base64": "a.b.c",
    "not ASCII": "é.é.é",
    "NUL": "a\0b",
    "quotes": '"a"',
    "a line break": "a\r\nb",
    "an unsigned JWT": "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.",
    "JSON": '{"alg":"none"}',
}


def forgeries() -> dict[str, str]:
    """Return refresh tokens that were not made with a key of this server."""
    ring, other = keyring(), derive(["an attacker's secret"])
    token = refresh_tokens.RefreshToken(RefreshToken().id, bytes(16), 0)
    ours = refresh_tokens.dumps(token, ring.key_id, ring.mac_keys[ring.key_id])
    return {
        "another key with our key's id": refresh_tokens.dumps(token, ring.key_id, other.mac_keys[other.key_id]),
        "another key": refresh_tokens.dumps(token, other.key_id, other.mac_keys[other.key_id]),
        "padding": ours + "=",
        "a changed character": ours[:40] + ("A" if ours[40] != "A" else "B") + ours[41:],
        "letters outside of ASCII": "é" * 87,
    }


def test_a_forged_refresh_token_is_rejected_without_a_query(victim, both_modes, django_assert_num_queries, subtests):
    """Its MAC shows that it is forged, so forged tokens cause no load on the database."""
    for name, token in (BAD_TOKENS | forgeries()).items():
        with subtests.test(name=name):
            with django_assert_num_queries(0):
                rejected = [post(client_with(refresh=token), REFRESH_PATH)]
                rejected += [client_with(refresh=token).get(path) for path in (ME, SESSIONS)]
                in_body = post(Client(), REFRESH_PATH, {"refresh_token": token})
                signed_out = post(client_with(refresh=token), LOGOUT)
                page = client_with(refresh=token).get("/sign-in", headers={"Sec-Fetch-Mode": "navigate"})
            assert [assert_rejected(response, 401) for response in rejected] == ["session_ended"] * 3
            assert assert_rejected(in_body, 400, 401, 413) in {"invalid", "session_ended", "payload_too_large"}
            assert (signed_out.status_code, page.status_code) == (204, 200)


BROKEN_COOKIES = ["=", ";;;", "a=b; =c", f"{ACCESS}", f"{ACCESS}=; {REFRESH}=", "\xff=\xfe", "a" * MEGABYTE]


class TestAnAccessToken:
    def test_that_is_invalid_is_ignored_in_a_cookie_and_rejected_in_a_header(self, victim, user, subtests):
        for name, token in BAD_TOKENS.items():
            with subtests.test(name=name):
                assert_problem(client_with(access=token).get(ME), 401, "not_authenticated")
                victim.cookies[ACCESS] = token
                assert victim.get(ME).status_code == 200  # The victim's refresh token signs the victim in.
                device = client_with(device=token)
                login(device, user)
                assert device.cookies[DEVICE].value != token
                if name != "a line break":  # No server passes on a header that contains one.
                    for client in (Client(), victim):  # The cookies of a request with a Bearer header are not read.
                        assert_not_authenticated(client.get(ME, headers=bearer(token)))

    def test_is_rejected_in_place_of_another_token(self, victim):
        access, token, device = (victim.cookies[name].value for name in (ACCESS, REFRESH, DEVICE))
        assert_rejected(client_with(access=token, refresh=access).get(ME), 401)
        assert_rejected(Client().get(ME, headers=bearer(token)), 401)
        assert_rejected(post(client_with(access=token, refresh=device), REFRESH_PATH), 401)

    def test_is_missing_from_a_broken_cookie_header(self, victim, subtests):
        for cookies in BROKEN_COOKIES:
            with subtests.test(cookies=short(cookies)):
                assert_rejected(Client().get(ME, HTTP_COOKIE=cookies), 401)
                assert_rejected(send(Client(), REFRESH_PATH, "", HTTP_COOKIE=cookies), 401)


TEXT_FIELDS = [
    *((LOGIN, field) for field in ("email", "password", "device_name", "device_token", "mode")),
    *((path, "refresh_token") for path in (REFRESH_PATH, LOGOUT)),
    (REAUTHENTICATE, "password"),
]
NO_TEXTS = ["null", "true", "false", "0", "5", "1.5", "-1e999", "1e999", "[]", "{}", '["a"]', '{"a": "b"}', "[[[]]]"]
ANY_TEXTS = ["' OR 1=1 --", "a@b\r\nBcc: c@d", "%00", "${7*7}", "{{7*7}}", "a" * 254, "@", "\u202e@x", "İ@x.org", "ﬁ@x"]
BAD_TEXTS = ['""', '"a\\u0000b"', '"\\ud800"', '"a\\udfffb"', '"' + "x" * 5000 + '"']


class TestAField:
    def test_of_text_takes_no_other_type_and_no_bad_text(self, victim, subtests):
        for value in NO_TEXTS + BAD_TEXTS:
            with subtests.test(value=short(value)):
                for path, field in TEXT_FIELDS:
                    good = json.dumps(UNKNOWN if path == LOGIN else {"other": 1})[1:-1]
                    response = send(victim, path, f'{{{good}, "{field}": {value}}}')
                    assert set(assert_problem(response, 400, "invalid")["errors"]) == {field}, path

    def test_of_yes_or_no_takes_nothing_else(self, victim, user, subtests):
        good = json.dumps({"email": user.email, "password": PASSWORD})[1:-1]
        for value in ("null", '"true"', '"yes"', "1", "0", "[]", "{}", '""', "1.0"):
            with subtests.test(value=value):
                problem = assert_problem(send(victim, LOGIN, f'{{{good}, "remember": {value}}}'), 400)
                assert set(problem["errors"]) == {"remember"}

    @pytest.mark.parametrize(
        ("field", "longest"), [("email", 254), ("password", 4096), ("device_name", 100), ("device_token", 100)]
    )
    def test_has_a_maximum_length(self, victim, field, longest):
        assert post(Client(), LOGIN, {**UNKNOWN, field: "x" * longest}).status_code == 401
        problem = assert_problem(post(victim, LOGIN, {**UNKNOWN, field: "x" * (longest + 1)}), 400)
        assert set(problem["errors"]) == {field}

    def test_is_not_echoed(self, victim):
        for path, field in TEXT_FIELDS:
            response = post(victim, path, {"email": "a", "password": "b", field: "hunter2" * 1000})
            assert b"hunter2" not in response.content

    def test_that_does_not_exist_is_ignored(self, api, user):
        more = {"is_staff": True, "user": 1, "session": {}, "id": None, "__proto__": {}, "a\0b": "\ud800", "": []}
        data = json.dumps({"email": user.email, "password": PASSWORD, **more})
        assert send(api, LOGIN, data).status_code == 200
        user.refresh_from_db()
        assert user.is_staff is False

    def test_with_any_text_as_address_is_an_unknown_account(self, victim, subtests):
        for email in ANY_TEXTS:
            with subtests.test(email=short(email)):
                assert assert_rejected(post(victim, LOGIN, {**UNKNOWN, "email": email}), 401) == "invalid_credentials"


BROKEN_BODIES: dict[str, bytes] = {
    "cut off": b'{"email": "a"',
    "a brace": b"{",
    "single quotes": b"{'email': 'a'}",
    "a comma too many": b'{"email": "a",}',
    "a comment": b'{"email": "a"} // hello',
    "two objects": b"{}{}",
    "a blank": b" ",
    "NUL": b"\0",
    "NUL after the object": b"{}\0",
    "NUL inside a string": b'{"email": "a\0b"}',
    "a raw line feed inside a string": b'{"email": "a\nb"}',
    "NaN": b'{"email": NaN, "password": "x"}',
    "NaN in a field that does not exist": b'{"email": "a", "password": "x", "other": NaN}',
    "Infinity": b'{"email": "a", "password": Infinity}',
    "minus Infinity": b'{"email": "a", "password": [-Infinity]}',
    "a number of 5000 digits": b'{"email": ' + b"9" * 5000 + b"}",
    "a bad escape": b'{"email": "\\x41"}',
    "half an escape": b'{"email": "\\u12"}',
    "a list": b'[{"email": "a", "password": "b"}]',
    "a string": b'"text"',
    "a number": b"5",
    "true": b"true",
    "null": b"null",
    "a byte order mark": b"\xef\xbb\xbf" + json.dumps(UNKNOWN).encode(),
    "UTF-16": json.dumps(UNKNOWN).encode("utf-16"),
    "UTF-16 without a byte order mark": json.dumps(UNKNOWN).encode("utf-16-le"),
    "UTF-32": json.dumps(UNKNOWN).encode("utf-32"),
    "Latin-1": '{"email": "é", "password": "x"}'.encode("latin-1"),
    "bytes that are not UTF-8": b'{"email": "\xff\xfe", "password": "x"}',
    "an overlong encoding": b'{"email": "\xc0\xaf", "password": "x"}',
    "an encoded surrogate": b'{"email": "\xed\xa0\x80", "password": "x"}',
    "a form": b"email=a&password=b",
    "XML": b"<login/>",
    "deep lists": b'{"email": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "deep objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "deep lists, cut off": b"[" * 60_000,
}


class TestABody:
    def test_that_is_not_a_json_object_is_malformed(self, victim, subtests):
        for name, body in BROKEN_BODIES.items():
            with subtests.test(name=name):
                session_id = victim.get(ME).json()["session"]["id"]
                for path in (LOGIN, REFRESH_PATH, LOGOUT, REAUTHENTICATE):
                    assert_problem(send(victim, path, body), 400, "malformed")
                assert_problem(send(victim, f"{SESSIONS}/{session_id}", body, "PATCH"), 400, "malformed")

    def test_that_nests_deeply_is_rejected(self, victim, subtests):
        depths, kinds = [50, 300, 500, 800, 900, 950, 990], [("[", "]"), ('{"a":', "}")]
        for field in ("email", "password", "remember", "device_name", "mode", "other"):
            with subtests.test(field=field):
                for depth, (opening, closing) in product(depths, kinds):
                    value = opening * depth + "1" + closing * depth
                    body = f'{{"email": "a", "password": "b", "{field}": {value}}}'
                    assert_rejected(send(victim, LOGIN, body), 400, 401)

    def test_may_be_as_long_as_our_limit_and_not_a_byte_longer(self, victim):
        body = json.dumps(UNKNOWN).encode()
        assert_problem(send(victim, LOGIN, body.ljust(MAX_BODY)), 401, "invalid_credentials")
        assert_problem(send(victim, LOGIN, body.ljust(MAX_BODY + 1)), 413, "payload_too_large")

    @pytest.mark.parametrize("size", [MEGABYTE, 3 * MEGABYTE], ids=["a megabyte", "three megabytes"])
    def test_that_is_huge_is_not_read(self, victim, size):
        for path in (LOGIN, REFRESH_PATH, LOGOUT, REAUTHENTICATE, f"{SESSIONS}/{NO_SESSION}"):
            method = "PATCH" if path.startswith(SESSIONS) else "POST"
            response = send(victim, path, b'{"email": "' + b"x" * size + b'"}', method)
            assert assert_rejected(response, 413, 404) in {"payload_too_large", "not_found"}

    def test_of_another_length_than_its_header_says_is_rejected(self, victim, subtests):
        for length in ("-1", "abc", "", "1e3", "5", "٥"):
            with subtests.test(length=length):
                assert_rejected(send(victim, LOGIN, json.dumps(UNKNOWN), CONTENT_LENGTH=length), 400)

    def test_that_breaks_off_is_malformed(self, victim):
        class BrokenOff(io.BytesIO):
            def read(self, *size: Any) -> bytes:
                raise ConnectionResetError("the client disconnected")

        for path in (LOGIN, REFRESH_PATH, LOGOUT):
            assert_problem(send(victim, path, "{}", **{"wsgi.input": BrokenOff()}), 400, "malformed")

    def test_of_a_get_request_is_ignored(self, victim):
        for body in (b"{", b"\0" * 100, b"x" * MEGABYTE):
            assert victim.generic("GET", ME, body, content_type="nonsense").status_code == 200


FIELDS = ["email", "password", "remember", "device_name", "device_token", "mode", "refresh_token", "other"]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@fuzz
@given(data=json_values | st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=8))
def test_any_json_is_rejected_in_the_error_format(data):
    for path in (LOGIN, REFRESH_PATH, REAUTHENTICATE):
        assert_rejected(send(Client(), path, json.dumps(data)), 400, 401)
    assert send(Client(), LOGOUT, json.dumps(data)).status_code in {204, 400}


@fuzz
@given(body=st.binary(max_size=200), content_type=st.sampled_from(["application/json", "text/plain", ""]))
def test_any_bytes_are_rejected_in_the_error_format(body, content_type):
    for path in (LOGIN, REFRESH_PATH, REAUTHENTICATE):
        assert_rejected(send(Client(), path, body, content_type=content_type), 400, 401, 415)


@fuzz
@given(data=st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=4))
def test_any_json_leaves_the_session_live(signed_in, data):
    session_id = signed_in.get(ME).json()["session"]["id"]
    assert_rejected(send(signed_in, REAUTHENTICATE, json.dumps(data)), 400, 401)
    assert send(signed_in, f"{SESSIONS}/{session_id}", json.dumps(data), "PATCH").status_code in {200, 400}
    assert signed_in.get(ME).status_code == 200


CONTENT_TYPES = [
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
]
BAD_BEARERS = ["Bearer", "Bearer ", "bearer x", "BEARER x y z", "Bearer Bearer x", "Bearer ,", "Bearer \xe9"]
OTHER_SCHEMES = ["Basic YTpi", "Basic", "Token x", "", ",", "Digest a=b", "Negotiate", "\xff", "Bear er", "Bearer\0x"]
ACCEPTS = ["", ";", "\xff", "a/b;q=x", "*/*;q=nan", "a;b*=c''d", "text/html", "application/xml", "nonsense"]
USER_AGENTS = [
    *["", " ", "\0", "a\0b/1.0", "a\0b/1 CFNetwork/1.2", "\x1b[2J/1.0 CFNetwork/711.1 Darwin/14.0", "tab\there/1.0"],
    *["\x01\x02\x7f\x80\x9f", "\xff\xfe\xe9/1.0", "<script>alert(1)</script>/1.0", "%s%n{}{0}/1.0"],
    *["x" * MEGABYTE, "/" * 10_000, "Mozilla/5.0 (" + "(" * 5000],
]


class TestAHeader:
    def test_authorization_with_a_bad_bearer_token_is_rejected(self, victim, subtests):
        for value in (*BAD_BEARERS, "Bearer " + "=" * MEGABYTE):
            with subtests.test(value=short(value)):
                assert_not_authenticated(Client().get(ME, headers={"Authorization": value}))

    def test_authorization_with_another_scheme_is_ignored(self, victim, subtests):
        for value in (*OTHER_SCHEMES, "x" * MEGABYTE):
            with subtests.test(value=short(value)):
                headers = {"Authorization": value}
                assert_rejected(Client().get(ME, headers=headers), 401)
                assert victim.get(ME, headers=headers).status_code == 200

    def test_content_type_is_understood_or_rejected(self, victim, subtests):
        bodies = [json.dumps(UNKNOWN).encode(), b""]
        sent = [*product((LOGIN, REFRESH_PATH, LOGOUT), ["", "?a=%ff", "?" + "a&" * 2000], bodies)]
        for value in CONTENT_TYPES:
            with subtests.test(value=short(value)):
                for path, query, body in sent:
                    response = send(Client(), path + query, body, content_type=value)
                    if path != LOGOUT or response.status_code != 204:
                        assert_rejected(response, *({415} if path == LOGOUT else {400, 401, 415}))
                # The server does not read the body of a GET.
                assert victim.generic("GET", ME, b"", content_type=value).status_code == 200

    def test_accept_changes_no_status(self, victim, subtests):
        for value in (*ACCEPTS, "," * 1000, "x" * MEGABYTE):
            with subtests.test(value=short(value)):
                for name in ("Accept", "Accept-Language", "Accept-Encoding"):
                    headers = {name: value}
                    assert victim.get(ME, headers=headers).json()["user"]
                    assert_rejected(Client().get(ME, headers=headers), 401)
                    assert_problem(Client().get("/api/nothing", headers=headers), 404, "not_found")
                    assert Client().get("/nothing", headers=headers).status_code == 404

    @pytest.mark.parametrize("agent", USER_AGENTS, ids=short)
    def test_user_agent_names_a_device_with_printable_characters(self, api, user, agent):
        headers = {"User-Agent": agent}
        response = post(api, LOGIN, {"email": user.email, "password": PASSWORD}, **headers)
        assert response.status_code == 200
        name = response.json()["session"]["device"]["name"]
        assert (0 < len(name) <= 100, name.isprintable(), Device.objects.get().name) == (True, True, name)
        assert_rejected(post(Client(), LOGIN, {"email": user.email, "password": "wrong"}, **headers), 401)
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
def test_any_value_of_any_header_is_answered_without_a_server_error(name, value):
    value = value.encode("utf-8", "replace").decode("latin-1")  # A WSGI server decodes headers as Latin-1.
    key = name.upper().replace("-", "_")
    environ = {key if key.startswith("CONTENT_") else f"HTTP_{key}": value}
    client = Client(headers={"User-Agent": FIREFOX})
    for response in (client.get(ME, **environ), client.generic("POST", REFRESH_PATH, b"", **environ)):
        assert_rejected(response, 400, 401, 403, 415)


ARABIC_DIGITS = "%D9%A1" * 32  # Python reads them as a UUID.
UUIDS = ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]
NOT_UUIDS = [
    *[ARABIC_DIGITS, NO_SESSION.replace("-", ""), f"{{{NO_SESSION}}}", f"urn:uuid:{NO_SESSION}"],
    *["nonsense", "1", "0", "-1", "null", "%00", "%ff", "%2e%2e", "%0a", "{}", "' OR 1=1 --", "é"],
    *[NO_SESSION[:-1], NO_SESSION + "c", NO_SESSION[:-1] + "g", NO_SESSION + "%00", "x" * 10_000],
]


class TestAnId:
    def test_of_no_session_is_not_found(self, victim, subtests):
        for session_id in UUIDS + NOT_UUIDS:
            with subtests.test(session_id=short(session_id)):
                path = f"{SESSIONS}/{session_id}"
                assert_problem(victim.delete(path), 404, "not_found")
                assert_problem(send(victim, path, '{"device_name": "x"}', "PATCH"), 404, "not_found")
                if session_id in NOT_UUIDS:
                    assert_problem(victim.get(f"{SESSIONS}?before={session_id}"), 404, "not_found")

    def test_in_an_unusual_query_is_rejected_or_ignored(self, victim, subtests):
        for before in (*UUIDS, "", "&before=x", "x&" * 2000):
            with subtests.test(before=short(before)):
                response = victim.get(f"{SESSIONS}?before={before}")
                assert response.status_code == 200 or assert_rejected(response, 400, 404)


class TestTheServersOwnRequests:
    """Django reads ``Content-Type`` before an exception could become a response. Our request classes do not raise."""

    @pytest.mark.parametrize("value", CONTENT_TYPES[:6], ids=short)
    def test_by_wsgi_are_answered(self, value):
        handler = WSGIHandler()
        handler.request_class = requests.WSGIRequest
        request = RequestFactory().generic("POST", f"{LOGIN}?a=%ff", json.dumps(UNKNOWN), secure=True)
        environ = {**request.environ, "CONTENT_TYPE": value}
        started: list[Any] = []
        content = b"".join(handler(environ, lambda status, headers: started.append((status, dict(headers)))))
        [(status, headers)] = started
        assert (status, headers["Content-Type"]) == ("415 Unsupported Media Type", "application/problem+json")
        assert json.loads(content)["code"] == "unsupported_media_type"

    @pytest.mark.parametrize("value", CONTENT_TYPES[:3], ids=short)
    def test_by_asgi_are_made(self, value):
        headers = [(b"host", b"testserver"), (b"content-type", value.encode())]
        scope = {"type": "http", "method": "POST", "path": LOGIN, "query_string": b"a=%ff", "headers": headers}
        request = requests.ASGIRequest(scope, io.BytesIO(b"{}"))
        assert request.content_type == request.META["CONTENT_TYPE"] == ""
        assert request.GET["a"] == "\ufffd"

    def test_are_made_by_the_asgi_application(self):
        from config import asgi

        assert asgi.application.app.request_class is requests.ASGIRequest

    @pytest.mark.parametrize("kind", [requests.WSGIRequest, requests.ASGIRequest])
    def test_have_no_attributes_that_djangos_do_not_have(self, kind):
        assert [name for name in vars(kind) if not name.startswith("__")] == []
