"""`sessions.sign_in_by`: a sign-in by one factor, whose answer says whose it is."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from tests.browsers import ACCESS, REFRESH
from tests.factories import PASSWORD, UserFactory
from tests.tokens.web.steps import answer
from tokens import sessions
from tokens.models import RefreshToken, SecurityEvent

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__), pytest.mark.at_length_on("sqlite")]

HERE = __name__
seen: list[Any] = []


def by_badge(request: HttpRequest, key: str, answer: str) -> HttpResponse:
    """Signs in the user with this key, if the answer is right."""

    def verify(user: Any) -> list[str] | None:
        seen.append(user.pk)
        UserFactory()  # A write that stays although the answer is refused.
        return ["pop", "user", "mfa"] if answer == "right" else None

    try:
        sessions.sign_in_by(request, None if key == "nobody" else key, verify)
    except sessions.pending.WrongAnswer:
        return HttpResponse("wrong", status=401)
    return HttpResponse("in")


urlpatterns = [path("api/", include("tokens.api.urls")), path("badge/<str:key>/<str:answer>", by_badge)]


def refuses(request: Any, user: Any, methods: Any) -> Any:
    return sessions.Refuse("Not today.")


def asks_for_more(request: Any, user: Any, methods: Any) -> Any:
    return sessions.Open() if "pwd" in methods else sessions.MoreNeeded(["password"])


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    """Forget who was seen by an earlier test. Otherwise a hook that was not called could look as if it was."""
    seen.clear()


def is_in(response: Any) -> bool:
    return {ACCESS, REFRESH} <= {*response.cookies}


def test_opens_a_session_with_what_was_proved(api, user):
    response = api.get(f"/badge/{user.pk}/right")
    assert (response.content, is_in(response)) == (b"in", True)
    session = api.get("/api/auth/me").json()["session"]
    assert (session["amr"], session["mode"]) == (["pop", "user", "mfa"], "cookie")


def test_of_a_wrong_answer_opens_nothing_and_keeps_what_was_written(api, user):
    before = get_user_model().objects.count()
    response = api.get(f"/badge/{user.pk}/wrong")
    assert (response.status_code, is_in(response)) == (401, False)
    assert get_user_model().objects.count() == before + 1
    assert SecurityEvent.objects.filter(kind="sign_in_failed", user=user, reason="factor").count() == 1


def test_of_nobody_and_of_a_user_who_is_not_active_is_not_verified(api, user):
    get_user_model().objects.filter(pk=user.pk).update(is_active=False)
    assert [api.get(f"/badge/{key}/right").status_code for key in ("nobody", user.pk)] == [401, 401]
    assert seen == []


def test_asks_the_policy_which_may_refuse(api, user, settings):
    settings.TOKENS = {**settings.TOKENS, "SIGN_IN_POLICY": f"{HERE}.refuses"}
    before = get_user_model().objects.count()
    response = api.get(f"/badge/{user.pk}/right")
    assert (response.status_code, is_in(response)) == (403, False)
    assert b"Not today." in response.content
    assert (get_user_model().objects.count(), RefreshToken.objects.exists()) == (before + 1, False)


def test_asks_the_policy_which_may_want_more(api, user, settings):
    settings.TOKENS = {**settings.TOKENS, "SIGN_IN_POLICY": f"{HERE}.asks_for_more"}
    response = api.get(f"/badge/{user.pk}/right", headers={"Accept": "application/json"})
    assert (response.status_code, response.json()["offered"]) == (401, ["password"])
    assert answer(api, PASSWORD, "password").json()["session"]["amr"] == ["pop", "user", "mfa", "pwd"]


def test_counts_wrong_answers_for_the_network_only(api, user, throttled):
    throttled(factor_network="2/10m", factor_account="1/d")
    given = ("wrong", "right", "wrong", "right")
    assert [api.get(f"/badge/{user.pk}/{one}").status_code for one in given] == [401, 200, 401, 429]
