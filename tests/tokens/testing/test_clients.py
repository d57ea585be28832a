"""A client that `tokens.testing` signs in is signed in as by the API, in every storage mode."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user
from django.test import AsyncClient, Client
from rest_framework.test import APIClient

from tests.browsers import DEVICE, FIREFOX, REFRESH, login
from tests.factories import PASSWORD, UserFactory
from tokens import sessions
from tokens.models import RefreshToken, SecurityEvent
from tokens.testing import (
    aexpire_access_token,
    age,
    arevoke,
    asign_in,
    create_user,
    expire_access_token,
    revoke,
    sign_in,
)

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

CLIENTS = {"Client": Client, "APIClient": APIClient}
JSON = {Client: {"content_type": "application/json"}, APIClient: {"format": "json"}}
MODES = ["cookie", "scoped", "subdomain", "body"]


@pytest.fixture(autouse=True)
def _project(settings: Any) -> None:
    """A project that serves every mode. With the default, only a sign-in by cookie would be possible."""
    settings.TOKENS = {"MODES": MODES, "COOKIE_DOMAIN": "example.org"}
    settings.ORIGIN = "https://auth.example.org"


def me(client: Any) -> tuple[int, str]:
    """Return the status and the code of the problem, or the name of the user."""
    answer = client.get("/api/auth/me")
    return answer.status_code, answer.json()["user"]["email"] if answer.status_code == 200 else answer.json()["code"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", CLIENTS.values(), ids=CLIENTS)
def test_a_client_is_signed_in_in_each_storage_mode(kind, mode, user):
    client = kind()
    assert me(client) == (401, "not_authenticated")
    signed_in = sign_in(client, user, mode=mode)
    assert me(client) == (200, user.email)
    assert (signed_in.session.mode, RefreshToken.objects.get().id) == (mode, signed_in.session.id)
    client.post("/api/auth/logout", **JSON[kind])
    assert me(client)[0] == 401


@pytest.mark.parametrize("mode", MODES)
def test_an_async_client_is_signed_in_in_each_storage_mode(mode, user):
    client = AsyncClient()

    @async_to_sync
    async def visit():
        found = [(await client.get("/api/auth/me")).status_code]
        await asign_in(client, user, mode=mode)
        found.append((await client.get("/api/auth/me")).status_code)
        await aexpire_access_token(client)
        found.append((await client.get("/api/auth/me")).status_code)
        await arevoke(client)
        return [*found, (await client.get("/api/auth/me")).status_code]

    assert visit() == [401, 200, 401 if mode == "body" else 200, 401]


def test_it_is_the_same_as_a_sign_in_by_the_api_without_a_hash(user, hashed):
    by_kit, by_api = Client(headers={"User-Agent": FIREFOX}), Client(headers={"User-Agent": FIREFOX})
    sign_in(by_kit, user)
    assert hashed == []
    login(by_api, user)
    assert hashed == ["verify"]
    assert set(by_kit.cookies) == set(by_api.cookies)
    assert DEVICE in by_kit.cookies
    for name, morsel in by_kit.cookies.items():
        ours, theirs = dict(morsel), dict(by_api.cookies[name])
        ours.pop("expires"), theirs.pop("expires")
        assert ours == theirs
    first, second = RefreshToken.objects.order_by("id")
    fields = ("user_id", "mode", "remember", "amr", "ip", "generation", "backend")
    assert [getattr(first, name) for name in fields] == [getattr(second, name) for name in fields]
    assert first.device.name == second.device.name != ""
    kinds = SecurityEvent.objects.filter(user=user).order_by("id").values_list("kind", flat=True)
    assert list(kinds[: len(kinds) // 2]) == list(kinds[len(kinds) // 2 :])
    assert get_user(by_kit) == get_user(by_api) == user


def test_a_user_without_a_password_is_signed_in():
    client, user = Client(), create_user()
    assert not user.has_usable_password()
    sign_in(client, user)
    assert me(client) == (200, user.email)
    assert create_user(password=PASSWORD).check_password(PASSWORD)


def test_another_user_signs_in_with_the_same_client(user):
    client, other = Client(), UserFactory()
    sign_in(client, user, mode="body")
    sign_in(client, other)
    assert me(client) == (200, other.email)
    sign_in(client, user, mode="body")
    assert me(client) == (200, user.email)


def test_the_next_request_after_the_token_has_expired_refreshes(user, client):
    sign_in(client, user)
    before = client.cookies[REFRESH].value
    client.get("/api/auth/me")
    assert client.cookies[REFRESH].value == before
    expire_access_token(client)
    assert me(client) == (200, user.email)
    assert client.cookies[REFRESH].value != before
    assert RefreshToken.objects.get().generation == 1


def test_in_mode_body_the_client_is_told_to_refresh(user):
    client = APIClient()
    signed_in = sign_in(client, user, mode="body")
    expire_access_token(client)
    assert me(client) == (401, "token_expired")
    answer = Client().post("/api/auth/refresh", {"refresh_token": signed_in.refresh_token}, "application/json")
    assert answer.status_code == 200


@pytest.mark.parametrize("enter", [lambda client, user: login(client, user), Client.force_login], ids=["api", "force"])
def test_the_token_of_a_client_that_signed_in_otherwise_expires_too(enter, user, client):
    enter(client, user)
    client.get("/api/auth/me")
    expire_access_token(client)
    assert me(client) == (200, user.email)


def test_a_client_that_is_not_signed_in_has_no_token_to_expire():
    with pytest.raises(ValueError, match="no access token"):
        expire_access_token(Client())


def test_another_kind_of_client_is_an_error_that_says_what_to_do(user):
    for call in (lambda client: sign_in(client, user), expire_access_token):
        with pytest.raises(TypeError, match="Give any other client what open_session returns"):
            call(httpx.Client())


def test_a_mode_that_is_not_served_is_an_error(user, settings):
    settings.TOKENS = {"MODES": ["cookie"]}
    with pytest.raises(ValueError, match="not in MODES, which are cookie"):
        sign_in(Client(), user, mode="body")


def test_a_user_who_is_not_active_cannot_sign_in(user):
    user.is_active = False
    user.save()
    with pytest.raises(ValueError, match="is not active"):
        sign_in(Client(), user)


class TestMethods:
    @pytest.mark.parametrize(
        ("methods", "amr", "acr"),
        [(["pwd"], ["pwd"], "aal1"), (["pwd", "otp"], ["pwd", "otp", "mfa"], "aal2"), ([], None, None)],
        ids=["a password", "two factors", "nothing known"],
    )
    def test_the_session_says_them(self, methods, amr, acr, user, client):
        sign_in(client, user, methods=methods)
        answer = client.get("/api/auth/sessions").json()["results"][0]
        assert (answer["amr"] or None, answer["acr"]) == (amr, acr)

    def test_an_unknown_method_is_refused(self, user):
        with pytest.raises(sessions.UnknownMethod):
            sign_in(Client(), user, methods=["magic"])

    @pytest.mark.parametrize(
        "asked",
        [{"SIGN_IN_POLICY": "tests.tokens.testing.policies.two_factors"}, {"REQUIRED_FACTORS": "everybody"}],
        ids=["the policy", "the required factors"],
    )
    def test_what_the_project_asks_for_is_asked_for(self, asked, user, settings, client):
        settings.TOKENS = asked
        with pytest.raises(sessions.FactorRequired):
            sign_in(Client(), user, methods=["pwd"])
        assert not RefreshToken.objects.exists()
        sign_in(client, user, methods=["pwd", "otp"])
        assert me(client) == (200, user.email)


def test_a_client_is_signed_in_at_its_tenant_only(user, settings):
    settings.TOKENS = {"TENANT_HOOK": "tests.tokens.testing.policies.tenant"}
    settings.ALLOWED_HOSTS = ["*"]
    client = Client(SERVER_NAME="north.example.org")
    sign_in(client, user)
    assert me(client) == (200, user.email)
    expire_access_token(client)
    assert client.get("/api/auth/me", SERVER_NAME="south.example.org").status_code == 401
    assert me(client) == (200, user.email)
    revoke(client)
    assert me(client) == (401, "session_ended")


class TestStepUp:
    """Views that ask for a level or a recent authentication."""

    @pytest.fixture
    def client(self, settings):
        """A browser in front of the views that ask for more. Other views would let every signed-in user in."""
        settings.ROOT_URLCONF = "tests.tokens.web.step_up_urls"
        return Client(headers={"Accept": "application/json"})

    @pytest.mark.parametrize(("methods", "status"), [(["pwd"], 403), (["pwd", "otp"], 200)], ids=["one", "two"])
    def test_a_level_takes_as_many_factors(self, methods, status, client, user):
        sign_in(client, user, methods=methods)
        assert client.get("/well").status_code == status

    def test_an_authentication_gets_too_old(self, client, user):
        sign_in(client, user)
        assert client.get("/recently").status_code == 200
        age(client, 301)
        assert client.get("/recently").status_code == 401

    def test_a_method_may_be_older_than_the_sign_in(self, client, user, clock):
        an_hour_ago = clock.now - timedelta(hours=1)
        sign_in(client, user, methods={"pwd": an_hour_ago, "otp": clock.now})
        assert f"pwd:{int(an_hour_ago.timestamp())} otp" in RefreshToken.objects.get().methods
