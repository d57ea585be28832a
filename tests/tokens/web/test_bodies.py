"""Bodies whose length no header says: what they ask for is done, or refused, and never ignored."""

import json
from io import BytesIO
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.test import Client

from accounts.models import Registration
from tests.browsers import FIREFOX, REFRESH, login
from tests.factories import PASSWORD
from tests.tokens.api.paths import LOGIN, LOGOUT, REAUTHENTICATE, REFRESH_PATH, SESSIONS
from tests.tokens.api.steps import assert_problem, bearer
from tokens.api.base import MAX_BODY
from tokens.models import RefreshToken
from tokens.web.bodies import measure

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
CHUNKED = {"HTTP_TRANSFER_ENCODING": "chunked"}
HEADERS: dict[str, dict[str, Any]] = {
    "chunks": {**CHUNKED},
    "chunks and a length of nothing": {**CHUNKED, "CONTENT_LENGTH": "0"},
    "chunks and a wrong length": {**CHUNKED, "CONTENT_LENGTH": "2"},
    "neither a length nor chunks, as HTTP/2 allows": {},
}
of_unknown_length = pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS)

pytestmark = pytest.mark.django_db


@pytest.fixture
def api(browser: Client, both_modes: None) -> Client:
    """The browser in front of either kind of server. The middleware of only one might measure bodies."""
    return browser


def send(client: Client, path: str, body: Any, headers: Any = CHUNKED, kind: str = JSON, **environ: Any) -> Any:
    """Send a POST request as a WSGI server passes it on that has decoded the chunks, but does not know their length."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    passed_on = {"wsgi.input": BytesIO(text), "wsgi.input_terminated": True, "CONTENT_LENGTH": "", "CONTENT_TYPE": kind}
    return client.post(path, **{**passed_on, **headers, **environ})


class TestABodyOfUnknownLength:
    @of_unknown_length
    def test_signs_out(self, api, user, headers):
        token = login(api, user, mode="body")["refresh_token"]
        assert send(api, LOGOUT, {"refresh_token": token}, headers).status_code == 204
        assert RefreshToken.objects.get().revoked_at is not None

    @of_unknown_length
    def test_takes_precedence_over_the_cookie_when_it_refreshes(self, api, user, headers):
        token = login(api, user, mode="body")["refresh_token"]
        login(api, user)
        assert send(api, REFRESH_PATH, {"refresh_token": token}, headers).json()["session"]["mode"] == "body"

    @of_unknown_length
    def test_signs_in_and_names_a_device(self, api, user, headers):
        assert send(api, LOGIN, {"email": user.email, "password": PASSWORD}, headers).status_code == 200
        path = f"{SESSIONS}/{RefreshToken.objects.get().id}"
        assert send(api, path, {"device_name": "Mine"}, headers, REQUEST_METHOD="PATCH").status_code == 200
        assert send(api, REAUTHENTICATE, {"password": PASSWORD}, headers).status_code == 200

    def test_reaches_the_views_of_other_apps(self, api):
        given = {"email": "new@example.org", "password": PASSWORD}
        assert send(api, "/api/auth/register", given).status_code == 202
        assert Registration.objects.filter(email="new@example.org").exists()

    @of_unknown_length
    def test_of_a_form_reaches_a_page_and_the_check_of_its_csrf_token(self, user, headers):
        client = Client(headers={"User-Agent": FIREFOX}, enforce_csrf_checks=True)
        client.get("/sign-in")
        csrf = client.cookies["__Host-csrf"].value
        fields = {"username": user.email, "password": PASSWORD, "csrfmiddlewaretoken": csrf}
        response = send(client, "/sign-in", urlencode(fields).encode(), headers, FORM, HTTP_ORIGIN="https://testserver")
        assert (response.status_code, bool(client.cookies[REFRESH].value)) == (302, True)

    def test_is_read_up_to_the_limit_and_not_a_byte_longer(self, api):
        body = json.dumps({"email": "a@example.org", "password": "x"}).encode()
        assert_problem(send(api, LOGIN, body.ljust(MAX_BODY)), 401, "invalid_credentials")
        endless = BytesIO(body.ljust(3 * MAX_BODY))
        assert_problem(send(api, LOGIN, b"", **{"wsgi.input": endless}), 413, "payload_too_large")
        assert endless.tell() == MAX_BODY + 1

    def test_of_a_form_is_read_up_to_djangos_limit(self, api, settings):
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
        endless = BytesIO(b"a=" + b"b" * 3000)
        assert send(api, "/sign-in", b"", kind=FORM, **{"wsgi.input": endless}).status_code == 413
        assert endless.tell() == 1001

    def test_is_not_read_before_somebody_has_signed_in_where_that_is_needed(self, api):
        body = BytesIO(b'{"password": "x"}')
        assert (send(api, REAUTHENTICATE, b"", **{"wsgi.input": body}).status_code, body.tell()) == (401, 0)

    def test_of_another_content_type_is_refused_and_not_ignored(self, api, user):
        token = login(api, user, mode="body")["refresh_token"]
        response = send(api, LOGOUT, {"refresh_token": token}, kind="text/plain")
        assert_problem(response, 415, "unsupported_media_type")

    @pytest.mark.parametrize("error", [ConnectionResetError, ValueError], ids=["of the network", "of the server"])
    def test_that_breaks_off_is_malformed(self, api, error):
        class BrokenOff(BytesIO):
            def read(self, *size: Any) -> bytes:
                raise error

        assert_problem(send(api, LOGOUT, b"", **{"wsgi.input": BrokenOff()}), 400, "malformed")

    def test_that_is_empty_is_none(self, signed_in):
        assert send(signed_in, LOGOUT, b"").status_code == 204
        assert RefreshToken.objects.get().revoked_at is not None

    def test_is_left_to_a_view_that_reads_it_as_it_arrives(self, api, settings):
        """A view of the project that stores large files can read what no setting allows to keep in memory."""
        settings.ROOT_URLCONF = "tests.tokens.web.body_urls"
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
        assert send(api, "/upload", b"x" * 5000, kind="application/octet-stream").json() == {"read": 5000}


class TestAServerThatDoesNotPassChunksOn:
    @pytest.mark.parametrize("length", ["", "0"], ids=["no length", "a length of zero"])
    def test_is_answered_with_411(self, api, user, length):
        access = login(api, user, mode="body")["access_token"]
        passed_on = {"wsgi.input_terminated": False, "CONTENT_LENGTH": length}
        for path in (LOGIN, REFRESH_PATH, LOGOUT, REAUTHENTICATE, "/api/auth/register"):
            response = send(api, path, {}, **passed_on, HTTP_AUTHORIZATION=bearer(access)["Authorization"])
            assert_problem(response, 411, "length_required")
        assert send(api, "/sign-in", b"a=b", kind=FORM, **passed_on).status_code == 411
        assert RefreshToken.objects.get().revoked_at is None

    def test_may_have_put_them_together_and_say_their_length(self, api, user):
        body = json.dumps({"refresh_token": login(api, user, mode="body")["refresh_token"]}).encode()
        passed_on = {"wsgi.input_terminated": False, "CONTENT_LENGTH": str(len(body))}
        assert send(api, LOGOUT, body, **passed_on).status_code == 204
        assert RefreshToken.objects.get().revoked_at is not None

    def test_says_nothing_of_requests_without_a_body(self, signed_in):
        assert send(signed_in, LOGOUT, b"", {}, **{"wsgi.input_terminated": False}).status_code == 204


def test_an_asgi_server_passes_every_body_on_and_a_large_one_stays_in_its_file(tmp_path):
    with (tmp_path / "body").open("w+b") as file:
        file.write(b"x" * 5000)
        file.seek(0)
        scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"transfer-encoding", b"chunked")]}
        request = ASGIRequest(scope, file)
        assert measure(request, 10) is None
        assert (request.META["CONTENT_LENGTH"], len(request.read())) == ("5000", 5000)
