"""djangorestframework-simplejwt: its refresh tokens become sessions, and its endpoints stay.

`tests.tokens.contrib.test_suites` runs this file, with settings of its own.
"""

from contextlib import ExitStack
from types import ModuleType
from typing import Any

import jwt
import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import include, path
from django.views.decorators.cache import never_cache
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.decorators import action, api_view, authentication_classes, permission_classes
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet
from rest_framework_simplejwt.authentication import JWTAuthentication, JWTStatelessUserAuthentication
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import RefreshToken as Theirs

from tests.browsers import FIREFOX, login, post
from tests.factories import PASSWORD, AdminFactory, UserFactory
from tests.parallel import at_once
from tests.tokens.api.steps import change_password_elsewhere
from tests.tokens.contrib.coming_over.steps import live, refuses
from tests.tokens.contrib.coming_over.urls import urlpatterns
from tests.tokens.service.threads import in_thread, wait_until_blocked
from tokens.api.authentication import TokenAuthentication
from tokens.contrib.coming_over.checks import check_modes, check_views
from tokens.contrib.coming_over.models import TakenOver
from tokens.database.transactions import durable, writer
from tokens.models import RefreshToken, SecurityEvent
from tokens.protocol.refresh_tokens import PREFIX
from tokens.service import users
from tokens.service.revocation import revoke
from tokens.sessions import MoreNeeded, Open

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]
GRACE, LATER = 31, 200
INVALID = "token_not_valid"


@pytest.fixture
def rotating(monkeypatch: pytest.MonkeyPatch) -> None:
    """simplejwt with ROTATE_REFRESH_TOKENS and BLACKLIST_AFTER_ROTATION. Without it its clients keep one token."""
    for name in ("ROTATE_REFRESH_TOKENS", "BLACKLIST_AFTER_ROTATION"):
        monkeypatch.setattr(api_settings, name, True)


@pytest.fixture
def theirs(request: pytest.FixtureRequest, user: Any) -> str:
    """A refresh token that simplejwt has issued before the release, at the time of `clock` if the test has it.

    One of the real time would have expired on that clock, and would be refused for that reason.
    """
    if "clock" in request.fixturenames:
        request.getfixturevalue("clock")
    return str(Theirs.for_user(user))


def refreshed(token: str) -> Any:
    return post(Client(), "/api/token/refresh/", {"refresh": token})


def blacklisted(token: str, at: str = "api") -> Any:
    return post(Client(), f"/{at}/token/blacklist/", {"refresh": token})


def verified(token: str) -> int:
    return int(post(Client(), "/api/token/verify/", {"token": token}).status_code)


def who(access: str) -> int:
    return int(Client().get("/probe/either", headers={"Authorization": f"Bearer {access}"}).status_code)


def assert_refused(answer: Any) -> None:
    assert (answer.status_code, answer.json()["code"]) == (401, INVALID)


@pytest.mark.usefixtures("rotating")
class TestRotatingClients:
    def test_a_refresh_token_becomes_a_session_and_every_further_refresh_rotates_it(self, user, theirs):
        first = refreshed(theirs).json()
        assert set(first) == {"access", "refresh"}
        assert first["refresh"].startswith(PREFIX)
        assert who(first["access"]) == 200
        row = RefreshToken.objects.get()
        assert (row.user, row.mode, row.remember, row.methods, row.authenticated_at) == (user, "body", True, "", None)
        assert (refreshed(first["refresh"]).status_code, live()) == (200, 1)
        assert not SecurityEvent.objects.filter(kind="new_device").exists()  # Nobody has signed in on a new device.

    def test_the_same_token_again_gives_the_same_session_after_a_lost_answer(self, theirs, clock):
        refreshed(theirs)
        first = refreshed(theirs).json()
        clock.forward(3600)
        again = refreshed(theirs).json()
        assert live() == 1
        assert first["refresh"].startswith(PREFIX)
        assert refreshed(again["refresh"]).status_code == 200

    def test_a_replay_after_its_successor_was_used_ends_the_session(self, theirs, clock):
        answer = refreshed(refreshed(theirs).json()["refresh"]).json()
        clock.forward(LATER)
        assert who(answer["access"]) == 200
        answer = refreshed(answer["refresh"]).json()
        assert_refused(refreshed(theirs))
        assert RefreshToken.objects.get().revoked_reason == "reuse_detected"
        assert_refused(refreshed(answer["refresh"]))
        assert_refused(blacklisted(theirs, "old"))  # simplejwt knows it, too.

    def test_who_signs_in_after_the_release_gets_our_refresh_token_at_once(self, user):
        answer = post(Client(), "/api/token/", {"email": user.email, "password": PASSWORD}).json()
        assert answer["refresh"].startswith(PREFIX)
        assert not OutstandingToken.objects.exists()

    def test_a_client_that_presents_the_current_token_again_gets_it_back(self, theirs):
        answer = refreshed(refreshed(theirs).json()["refresh"]).json()
        assert refreshed(answer["refresh"]).json()["refresh"] == answer["refresh"]

    def test_a_row_that_was_purged_opens_no_second_session(self, theirs):
        refreshed(theirs)
        RefreshToken.objects.all().delete()
        assert_refused(refreshed(theirs))
        assert live() == 0

    def test_it_is_taken_over_with_another_secret_key(self, theirs, change_secret_key):
        api_settings.SIGNING_KEY  # noqa: B018 - It is read once, from the first key.
        refreshed(theirs)
        change_secret_key()
        assert (refreshed(theirs).status_code, live()) == (200, 1)


class TestOtherClients:
    """Without ROTATE_REFRESH_TOKENS a client presents the same refresh token for as long as it lasts."""

    def test_the_same_token_gives_access_tokens_of_one_session_until_it_expires(self, theirs, clock):
        for _ in range(8):
            answer = refreshed(theirs).json()
            assert (set(answer), who(answer["access"]), live()) == ({"access"}, 200, 1)
            clock.forward(80_000)
        assert_refused(refreshed(theirs))
        assert live() == 0

    def test_the_session_lasts_as_long_as_the_token_would_have(self, theirs):
        refreshed(theirs)
        row = RefreshToken.objects.get()
        assert row.expires_at.timestamp() == pytest.approx(Theirs(theirs)["exp"], abs=2)

    def test_a_new_application_takes_the_session_over_and_then_it_rotates(self, theirs, clock):
        refreshed(theirs)
        answer = post(Client(), "/api/token/take-over/", {"token": theirs, "mode": "body"}).json()
        assert answer["refresh_token"].startswith(PREFIX)
        after = post(Client(), "/api/auth/refresh", {"refresh_token": answer["refresh_token"]})
        assert (after.status_code, live()) == (200, 1)
        clock.forward(LATER)
        who(after.json()["access_token"])
        assert_refused(refreshed(theirs))
        assert live() == 0

    def test_a_browser_takes_it_over_into_cookies(self, theirs, api):
        answer = post(api, "/api/token/take-over/", {"token": theirs})
        assert (answer.status_code, answer.json()) == (200, {})
        assert api.get("/api/auth/me").status_code == 200
        assert post(api, "/api/token/take-over/", {"token": theirs}).status_code == 200
        assert (live(), RefreshToken.objects.get().mode) == (1, "cookie")
        assert_refused(refreshed(theirs))  # Its tokens are in cookies now.

    def test_a_browser_takes_over_what_an_older_page_has_used(self, theirs, api):
        access = refreshed(theirs).json()["access"]
        assert post(api, "/api/token/take-over/", {"token": theirs}).status_code == 200
        assert api.get("/api/auth/me").status_code == 200
        assert (live(), RefreshToken.objects.count(), TakenOver.objects.count()) == (1, 2, 1)
        assert (who(access), BlacklistedToken.objects.exists()) == (401, False)
        assert (post(api, "/api/token/take-over/", {"token": theirs}).status_code, live()) == (200, 1)

    def test_who_signs_in_after_the_release_goes_on_with_one_refresh_token_too(self, user, clock):
        token = post(Client(), "/api/token/", {"email": user.email, "password": PASSWORD}).json()["refresh"]
        for _ in range(7):
            answer = refreshed(token).json()
            assert (set(answer), who(answer["access"])) == ({"access"}, 200)
            clock.forward(80_000)
        row = RefreshToken.objects.get()
        assert (row.amr, row.authenticated_at) == (["pwd"], row.created_at)
        assert SecurityEvent.objects.filter(kind="new_device").count() == 1
        assert (blacklisted(token).status_code, live()) == (200, 0)

    def test_a_page_of_another_origin_takes_nothing_over(self, theirs, api):
        answer = post(api, "/api/token/take-over/", {"token": theirs}, Origin="https://evil.example")
        assert (answer.status_code, live()) == (403, 0)


@pytest.fixture(params=[False, True], ids=["one refresh token", "rotating"])
def either(request: pytest.FixtureRequest) -> None:
    """simplejwt as it is by default, and as it is with rotation."""
    if request.param:
        request.getfixturevalue("rotating")


@pytest.mark.usefixtures("either")
class TestEnds:
    def test_a_token_that_was_blacklisted_before_is_refused(self, theirs):
        assert blacklisted(theirs, "old").status_code == 200
        answer = refreshed(theirs)
        assert_refused(answer)
        assert (answer.json()["detail"], live()) == ("Token is blacklisted", 0)

    @pytest.mark.parametrize("at", ["api", "old"])
    def test_blacklisting_a_token_ends_the_session_that_it_has_become(self, theirs, at):
        access = refreshed(theirs).json()["access"]
        assert (blacklisted(theirs, at).status_code, live(), who(access)) == (200, 0, 401)
        assert_refused(refreshed(theirs))

    def test_a_blacklist_that_sends_no_signal_counts_at_the_next_refresh(self, theirs, rotating):
        ours = refreshed(theirs).json()["refresh"]
        token, _ = OutstandingToken.objects.get_or_create(jti=Theirs(theirs)["jti"])
        BlacklistedToken.objects.bulk_create([BlacklistedToken(token=token)])
        assert_refused(refreshed(ours))
        assert live() == 0

    @pytest.mark.parametrize("has_row", [True, False], ids=["outstanding", "from before simplejwt's app"])
    def test_a_session_that_ends_blacklists_the_token(self, theirs, has_row):
        if not has_row:
            OutstandingToken.objects.all().delete()
        refreshed(theirs)
        revoke(RefreshToken.objects.all(), RefreshToken.Reason.SIGNED_OUT)
        assert_refused(post(Client(), "/old/token/refresh/", {"refresh": theirs}))
        assert verified(theirs) in {400, 401}  # simplejwt answers a blacklisted token with 400.

    def test_the_end_of_everything_ends_tokens_that_were_not_taken_over_yet(self, theirs, user, api):
        elsewhere = str(Theirs.for_user(user))
        refreshed(elsewhere)
        change_password_elsewhere(user)
        for token in (theirs, elsewhere):
            assert_refused(refreshed(token))
            assert_refused(post(Client(), "/old/token/refresh/", {"refresh": token}))
        assert live() == 1

    def test_a_token_from_before_the_user_ended_other_sessions_is_refused(self, theirs, user, api, clock):
        clock.forward(60)
        login(Client(headers={"User-Agent": FIREFOX}), user)
        login(api, user)
        assert api.delete("/api/auth/sessions").status_code == 204
        assert_refused(refreshed(theirs))
        clock.forward(1)
        assert refreshed(str(Theirs.for_user(user))).status_code == 200

    def test_a_user_who_is_not_active_any_more_comes_over_no_more(self, theirs, user):
        refreshed(theirs)
        user.is_active = False
        user.save()
        assert (refreshed(theirs).status_code, live()) == (401, 0)

    def test_a_command_that_ends_sessions_blacklists(self, theirs, user):
        refreshed(theirs)
        call_command("revoke_sessions", "--user", user.email, "--no-input")
        assert_refused(post(Client(), "/old/token/refresh/", {"refresh": theirs}))

    def test_the_blacklist_ends_a_session_by_the_refresh_token_of_a_sign_in(self, user):
        answer = post(Client(), "/api/token/", {"email": user.email, "password": PASSWORD}).json()
        assert (blacklisted(answer["refresh"]).status_code, live()) == (200, 0)
        assert_refused(blacklisted(answer["refresh"]))
        assert_refused(refreshed(answer["refresh"]))

    def test_views_of_the_project_s_own_open_and_end_sessions(self, user):
        answer = post(Client(), "/own/sign-in", {"email": user.email}).json()
        assert (who(answer["access"]), live()) == (200, 1)
        after = refreshed(answer["refresh"]).json()
        given = {"refresh": after.get("refresh", answer["refresh"])}
        assert (post(Client(), "/own/sign-out", given).content, live()) == (b"", 0)
        assert_refused(refreshed(answer["refresh"]))


class TestAnswers:
    """What a client sees is what simplejwt would have answered."""

    def test_signing_in(self, user):
        answer = post(Client(), "/api/token/", {"email": user.email, "password": PASSWORD})
        assert (answer.status_code, set(answer.json())) == (200, {"access", "refresh"})
        assert (who(answer.json()["access"]), RefreshToken.objects.get().amr) == (200, ["pwd"])
        assert OutstandingToken.objects.count() == 1  # Its client never gets another one.

    @pytest.mark.parametrize(
        "body",
        [{"email": "nobody@example.org", "password": "wrong"}, {}, {"email": ""}],
        ids=["an unknown name", "no fields", "an empty name"],
    )
    def test_a_sign_in_that_fails(self, body):
        ours, old = (post(Client(), f"/{at}/token/", body) for at in ("api", "old"))
        assert (ours.status_code, ours.json()) == (old.status_code, old.json())
        assert ours.get("WWW-Authenticate") == old.get("WWW-Authenticate")

    def test_a_refresh_token_that_is_none(self):
        for text in ("", "garbage", "a.b.c", f"{PREFIX}garbage", "\x00", "ü"):
            ours, old = (post(Client(), f"/{at}/token/refresh/", {"refresh": text}) for at in ("api", "old"))
            assert (ours.status_code, ours.json().get("code")) == (old.status_code, old.json().get("code")), text

    def test_a_page_of_another_origin_may_use_its_own_tokens(self, user, theirs):
        elsewhere = {"Origin": "https://app.example.com"}
        assert post(Client(), "/api/token/refresh/", {"refresh": theirs}, **elsewhere).status_code == 200
        given = {"email": user.email, "password": PASSWORD}
        assert post(Client(), "/api/token/", given, **elsewhere).status_code == 200

    def test_an_access_token_is_no_refresh_token(self, user):
        assert_refused(refreshed(str(Theirs.for_user(user).access_token)))

    def test_verifying(self, user, theirs):
        answer = post(Client(), "/api/token/", {"email": user.email, "password": PASSWORD}).json()
        access = str(Theirs.for_user(user).access_token)
        assert [verified(text) for text in (*answer.values(), theirs, access, "garbage")] == [200] * 4 + [401]
        revoke(RefreshToken.objects.all(), RefreshToken.Reason.SIGNED_OUT)
        assert [verified(text) for text in answer.values()] == [401, 401]

    def test_an_access_token_of_theirs_is_theirs_until_it_expires(self, user, clock):
        access = str(Theirs.for_user(user).access_token)
        answer = Client().get("/probe/either", headers={"Authorization": f"Bearer {access}"})
        assert answer.json() == {"pk": str(user.pk), "is_ours": False}
        clock.forward(400)
        assert who(access) == 401

    def test_too_many_wrong_passwords(self, user, throttled):
        throttled(sign_in_account="1/h")
        for _ in range(2):
            answer = post(Client(), "/api/token/", {"email": user.email, "password": "wrong"})
        assert answer.status_code == 429
        assert "Retry-After" in answer
        assert set(answer.json()) == {"detail"}


def opens(request: Any, user: Any, methods: Any) -> Any:
    return Open()


def asks_staff(request: Any, user: Any, methods: Any) -> Any:
    return MoreNeeded() if user.is_staff and "mfa" not in methods else Open()


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize(
    ("policy", "code"), [(refuses, "sign_in_refused"), (asks_staff, "factor_required")], ids=["refuses", "asks"]
)
def test_the_policy_is_asked_at_a_sign_in_and_before_a_token_becomes_a_session(settings, policy, code):
    user = AdminFactory()
    settings.TOKENS = {**settings.TOKENS, "SIGN_IN_POLICY": f"{__name__}.{policy.__name__}"}
    theirs = str(Theirs.for_user(user))
    for answer in (
        post(Client(), "/api/token/", {"email": user.email, "password": PASSWORD}),
        refreshed(theirs),
        post(Client(), "/api/token/take-over/", {"token": theirs}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (401, code)
        assert set(answer.json()) == {"detail", "code"}
    assert (live(), TakenOver.objects.count(), OutstandingToken.objects.count()) == (0, 0, 1)
    settings.TOKENS = {**settings.TOKENS, "SIGN_IN_POLICY": f"{__name__}.opens"}
    assert refreshed(theirs).status_code == 200  # It was not used up.


def fails(user: Any, session: Any) -> Any:
    raise RuntimeError("a bug")


def names(user: Any, session: Any) -> Any:
    return {"user_id": str(user.pk)}


@pytest.mark.usefixtures("either")
def test_a_claims_hook_that_fails_uses_up_nothing(theirs, settings):
    settings.TOKENS = {**settings.TOKENS, "CLAIMS_HOOK": f"{__name__}.fails"}
    answer = refreshed(theirs)
    assert (answer.status_code, set(answer.json()), TakenOver.objects.count()) == (503, {"detail"}, 0)
    settings.TOKENS = {**settings.TOKENS, "CLAIMS_HOOK": f"{__name__}.names"}
    answer = refreshed(theirs)
    assert answer.status_code == 200
    claims = jwt.decode(answer.json()["access"], options={"verify_signature": False})
    assert claims["user_id"] == claims["sub"]


@pytest.mark.django_db(transaction=True)
class TestAtTheSameTime:
    @pytest.mark.parametrize("rotates", [True, False], ids=["rotating", "one refresh token"])
    def test_parallel_requests_open_one_session(self, theirs, request, rotates):
        if rotates:
            request.getfixturevalue("rotating")
        answers = at_once(*[lambda: refreshed(theirs)] * 6)
        assert [answer.status_code for answer in answers] == [200] * 6
        assert (RefreshToken.objects.count(), TakenOver.objects.count()) == (1, 1)
        assert SecurityEvent.objects.filter(kind="signed_in").count() == 1
        assert len({answer.json().get("refresh") for answer in answers}) == 1

    @pytest.mark.only_on("postgresql")
    @pytest.mark.parametrize("is_taken_over_first", [False, True], ids=["blacklisted first", "taken over first"])
    def test_a_token_that_is_blacklisted_meanwhile_has_no_session(self, theirs, user, is_taken_over_first):
        take_over, blacklist = (lambda: refreshed(theirs)), (lambda: Theirs(theirs).blacklist())
        waits, happens = (blacklist, take_over) if is_taken_over_first else (take_over, blacklist)
        with ExitStack() as until_the_end, durable(writer(RefreshToken)):
            users.lock(writer(RefreshToken), user.pk)
            until_the_end.enter_context(in_thread(waits))
            wait_until_blocked()
            happens()
        assert (live(), BlacklistedToken.objects.count()) == (0, 1)
        assert RefreshToken.objects.count() == is_taken_over_first


def test_a_custom_serializer_keeps_what_it_adds(user, monkeypatch):
    monkeypatch.setattr(
        "tokens.contrib.coming_over.simplejwt_views.views.TokenObtainPairView._serializer_class",
        "tests.tokens.contrib.coming_over.serializers.WithName",
    )
    answer = post(Client(), "/api/token/", {"email": user.email, "password": PASSWORD}).json()
    assert answer["name"] == user.email
    assert refreshed(answer["refresh"]).status_code == 200


def test_the_mode_of_clients_without_cookies_must_be_served(settings):
    assert check_modes() == []
    settings.TOKENS = {**settings.TOKENS, "MODES": ["cookie"]}
    assert [found.id for found in check_modes()] == ["tokens.W048"]


def view(classes: list[type[BaseAuthentication]]) -> Any:
    """A view of the project that names its authentication classes."""

    @api_view(["GET"])
    @authentication_classes(classes)
    @permission_classes([IsAuthenticated])
    def orders(request: Any) -> Response:
        return Response()

    return orders


class Own(JWTAuthentication):
    """simplejwt's class, as a project extends it."""


class ByAttribute(APIView):
    authentication_classes = (JWTAuthentication,)
    permission_classes = (IsAuthenticated,)

    def get(self, request: Any) -> Response:
        return Response()


class ByAction(ViewSet):
    @action(detail=False, authentication_classes=[Own], permission_classes=[IsAuthenticated])
    def list_all(self, request: Any) -> Response:
        return Response()


ORDERS, BY_ATTRIBUTE, BY_ACTION = (f"{__name__}.{name}" for name in ("orders", "ByAttribute", "ByAction"))


VIEWS = {
    "simplejwt's class": (view([JWTAuthentication]), ORDERS),
    "a subclass of it": (view([Own]), ORDERS),
    "simplejwt's stateless class": (view([JWTStatelessUserAuthentication]), ORDERS),
    "a subclass of it before ours": (view([Own, TokenAuthentication]), ORDERS),
    "an attribute of a class": (ByAttribute.as_view(), BY_ATTRIBUTE),
    "an action of a view set": (ByAction.as_view({"get": "list_all"}, **ByAction.list_all.kwargs), BY_ACTION),
    "a view that is wrapped": (never_cache(ByAttribute.as_view()), BY_ATTRIBUTE),
    "an attribute that a URL replaces": (
        ByAttribute.as_view(authentication_classes=[TokenAuthentication, Own]),
        None,
    ),
    "ours before simplejwt's": (view([TokenAuthentication, JWTAuthentication]), None),
    "our class": (view([TokenAuthentication]), None),
    "a class that reads no header": (view([SessionAuthentication]), None),
}


@pytest.mark.parametrize(("found", "named"), VIEWS.values(), ids=VIEWS)
def test_a_view_that_refuses_our_tokens_is_named(found, named, settings, theirs):
    """The check says what happens: the view answers our access token 401 if it is named, and only then."""
    project = ModuleType("urls_of_a_project")
    project.urlpatterns = [path("shop/", include([path("orders", found)])), *urlpatterns]  # type: ignore[attr-defined]
    settings.ROOT_URLCONF = project
    access = refreshed(theirs).json()["access"]
    answer = Client().get("/shop/orders", headers={"Authorization": f"Bearer {access}"})
    assert (answer.status_code == 401) is (named is not None), answer.content
    messages = check_views()
    assert [message.id for message in messages] == ["tokens.W063"] * (named is not None)
    assert named is None or messages[0].msg.endswith(f"refuse ours: {named}.")


def test_users_of_other_accounts_have_nothing_to_do_with_it(theirs):
    other = str(Theirs.for_user(UserFactory()))
    refreshed(theirs)
    refreshed(other)
    blacklisted(theirs)
    assert refreshed(other).status_code == 200


def test_the_migrations_of_the_adapter_are_complete(db):
    call_command("makemigrations", "--check", "--dry-run")
