"""Tests of a project that has the blocks of the guides, as its author writes them: with `tokens.testing`.

`tests.clients.test_guides` copies this file into the project, and runs it there with pytest.
"""

import json

import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from django.contrib.auth import get_user_model
from django.test import Client
from site_.asgi import application

from tokens.testing import age, create_user, revoke, sign_in

pytestmark = pytest.mark.django_db
ORIGIN = "http://localhost:8000"
PASSWORD = "correct horse battery staple"


def user_of(client):
    answer = client.get("/api/auth/me").json()
    return answer["user"]["id"] if "user" in answer else None


class TestChangeOfAnAccount:
    """docs/how-to/change-accounts.md"""

    @pytest.fixture
    def user(self):
        """A user with a password. Without one, a right password could not be told from a guess."""
        user = create_user()
        user.set_password(PASSWORD)
        user.save()
        return user

    def changed(self, client, user, **given):
        response = client.post("/name", {"last_name": "Lovelace", **given}, headers={"Accept": "application/json"})
        return response, get_user_model().objects.get(pk=user.pk).last_name

    def test_the_refresh_cookie_is_a_proof(self, client, user):
        sign_in(client, user)
        response, name = self.changed(client, user)
        assert (response.status_code, response["Location"], name) == (302, "/", "Lovelace")

    def test_a_sign_in_of_an_hour_ago_is_led_to_the_page_that_asks_again(self, client, user):
        sign_in(client, user)
        age(client, 3600)
        response, name = self.changed(client, user)
        assert (response["Location"], name) == ("/sign-in/again?next=/name", "")

    def test_an_access_token_by_itself_changes_nothing_and_with_the_password_it_does(self, client, user):
        sign_in(client, user)
        thief = Client()
        thief.cookies["access"] = client.cookies["access"].value
        response, name = self.changed(thief, user)
        assert (response.status_code, response.json()["code"], name) == (403, "refresh_token_required", "")
        assert self.changed(thief, user, current_password="a guess")[0].status_code == 403
        assert self.changed(thief, user, current_password=PASSWORD)[1] == "Lovelace"


class TestImpersonation:
    """docs/how-to/impersonation.md"""

    def test_staff_uses_the_account_of_another_user_and_comes_back(self, client):
        staff, user = create_user(is_superuser=True), create_user()
        sign_in(client, staff)
        assert (client.post(f"/impersonate/{user.pk}").status_code, user_of(client)) == (302, str(user.pk))
        assert (client.post("/release").status_code, user_of(client)) == (302, str(staff.pk))

    def test_others_may_not(self, signed_in_client):
        user = create_user()
        assert signed_in_client.post(f"/impersonate/{user.pk}").status_code == 403
        assert user_of(signed_in_client) == str(signed_in_client.user.pk)


class TestStepUp:
    """docs/how-to/step-up.md"""

    def test_a_view_asks_for_a_second_factor(self, client):
        user = create_user()
        sign_in(client, user)
        assert client.post("/pay").status_code in {401, 403}
        sign_in(client, user, methods=["pwd", "otp"])
        assert client.post("/pay").content == b"paid"
        age(client, 400)
        assert client.post("/pay").status_code in {401, 403}


def status_of_upload(path, size):
    """Send a body of this size to the ASGI application, and return the status of the response."""

    async def send():
        headers = [(b"host", b"testserver"), (b"content-length", str(size).encode())]
        scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
        communicator = ApplicationCommunicator(application, {**scope, "http_version": "1.1"})
        await communicator.send_input({"type": "http.request", "body": b"a" * size})
        start = await communicator.receive_output(60)
        while (await communicator.receive_output(60)).get("more_body"):
            pass
        await communicator.wait(60)
        return start["status"]

    return async_to_sync(send)()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("path", "status"), [("/files/x", 404), ("/elsewhere", 413)])
def test_only_the_listed_path_takes_a_large_body(path, status):
    """docs/how-to/large-uploads.md: nothing answers at these paths, and a body that is too large is not read."""
    assert status_of_upload(path, 3_000_000) == status


def open_socket(client):
    """Open the socket with the client's cookies, and return what it says, or the code with which it is closed."""

    async def send():
        cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())
        headers = [(b"host", b"localhost:8000"), (b"origin", ORIGIN.encode()), (b"cookie", cookies.encode())]
        scope = {"type": "websocket", "path": "/notes", "query_string": b"", "headers": headers, "subprotocols": []}
        communicator = ApplicationCommunicator(application, scope)
        await communicator.send_input({"type": "websocket.connect"})
        first = await communicator.receive_output(60)
        if first["type"] != "websocket.accept":
            return first["type"]
        said = json.loads((await communicator.receive_output(60))["text"])
        await communicator.send_input({"type": "websocket.disconnect", "code": 1000})
        await communicator.wait(60)
        return said

    return async_to_sync(send)()


@pytest.mark.django_db(transaction=True)
def test_a_socket_knows_its_user_until_the_session_ends():
    """docs/how-to/channels.md"""
    client, user = Client(), create_user()
    assert open_socket(client) == "websocket.close"
    sign_in(client, user)
    assert open_socket(client) == {"user": str(user.pk)}
    revoke(client)
    assert open_socket(client) == "websocket.close"
