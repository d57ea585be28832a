"""Impersonation: the actor is named everywhere, and returns to their own sign-in."""

from typing import Any
from uuid import uuid4

import pytest
from django.core import mail
from django.core.management import call_command

from accounts.models import User
from tests.accounts.steps import sign_in_by_form
from tests.attacks.entry_points import INTROSPECTION, by_service
from tests.browsers import ACCESS, DEVICE, REFRESH, SESSION, login, post, refresh
from tests.factories import AdminFactory, UserFactory
from tests.tokens.api.steps import change_password_elsewhere
from tests.tokens.service.holders import AnotherProcess, change_password, deactivate_in_sql
from tests.tokens.web.impersonation import (
    WAYS,
    Impersonator,
    _urls,
    actor,
    by_function,
    by_hijack,
    impersonations,
    owner,
    staff,
)
from tests.tokens.web_steps import signed_in_as
from tokens.models import Device, RefreshToken, SecurityEvent
from tokens.service.revocation import revoke

__all__ = ["_urls", "actor", "owner", "staff"]

Kind, Reason = SecurityEvent.Kind, RefreshToken.Reason


def seen_as(user: Any, actor: Any = None) -> dict[str, Any]:
    """Return what the view ``/probe/whose`` says of a user, and of who uses the account."""
    who = {"user": str(user.pk), "django": str(user.pk), "actor": actor and str(actor.pk)}
    return {**who, "recent": actor is None, "hijacked": actor is not None}


SIGN_INS = {"after a sign-in by the API": login, "after a sign-in by the page": sign_in_by_form}


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def impersonator(request: pytest.FixtureRequest) -> Impersonator:
    """Each way to impersonate. A test with one way would not notice that another one is an ordinary sign-in."""
    return Impersonator(*request.param)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("sign_in", SIGN_INS.values(), ids=SIGN_INS)
def test_the_actor_is_named_everywhere_and_comes_back_as_before(impersonator, sign_in, staff, owner, clock):
    sign_in(impersonator.browser, staff)
    before = impersonator.claims
    clock.forward(100)
    assert impersonator.begin(owner).status_code in {200, 302}
    assert (impersonator.claims["sub"], impersonator.claims["act"]) == (str(owner.pk), {"sub": str(staff.pk)})
    assert not {"auth_time", "amr"} & impersonator.claims.keys()
    assert impersonator.whose() == seen_as(owner, staff)
    row = impersonations().get()
    assert (row.user, row.actor, row.remember, row.device.user) == (owner, staff, False, staff)
    assert (row.expires_at - row.created_at).total_seconds() == 3600
    begun = SecurityEvent.objects.get(session_id=row.id)
    assert (begun.kind, begun.user, begun.actor) == (Kind.IMPERSONATED, owner, staff)

    clock.forward(100)
    assert impersonator.release().status_code in {200, 302}
    assert (impersonator.claims["sub"], impersonator.claims["auth_time"]) == (str(staff.pk), before["auth_time"])
    assert "act" not in impersonator.claims
    assert impersonator.whose() == seen_as(staff)
    clock.forward(700)
    assert refresh(impersonator.browser).status_code == 200
    assert impersonator.claims["auth_time"] == before["auth_time"]
    row.refresh_from_db()
    assert row.revoked_reason == Reason.RELEASED
    events = SecurityEvent.objects.filter(session_id=row.id).order_by("id")
    assert [(event.kind, event.actor) for event in events] == [(Kind.IMPERSONATED, staff), (Kind.REVOKED, staff)]
    assert [row.user for row in RefreshToken.objects.live()] == [staff]
    assert [message.to for message in mail.outbox] in ([], [[staff.email]])  # About the actor's own sign-in.
    assert not Device.objects.filter(user=owner).exists()
    assert User.objects.get(pk=owner.pk).last_login is None


def test_it_survives_refreshes_and_ends_after_an_hour(actor, staff, owner, clock):
    browser = actor.browser
    for _ in range(5):
        clock.forward(700)
        assert refresh(browser).status_code == 200
        assert actor.claims["act"] == {"sub": str(staff.pk)}
    assert RefreshToken.objects.live().filter(user=staff, actor=None).exists()
    clock.forward(101)
    assert (refresh(browser).status_code, browser.get("/api/auth/me").status_code) == (401, 401)


def test_its_cookies_end_with_the_browser(actor):
    for name in (ACCESS, REFRESH):
        assert actor.browser.cookies[name]["max-age"] == ""


def test_the_owner_sees_who_uses_the_account_and_ends_it(actor, staff, owner):
    browser = signed_in_as(owner)
    found = browser.get("/api/auth/sessions").json()["results"]
    assert [row["actor"] for row in found] == [None, {"id": str(staff.pk), "name": staff.email}]
    page = browser.get("/", headers={"Accept-Language": "de"}).content.decode()
    assert f"Verwendet von {staff.email}" in page
    assert page.count("/rename") == 1
    session_id = impersonations().get().id
    assert post(browser, f"/api/auth/sessions/{session_id}").status_code == 405
    given = {"device_name": "of the owner"}
    renamed = browser.patch(f"/api/auth/sessions/{session_id}", given, content_type="application/json")
    assert (renamed.status_code, Device.objects.filter(name="of the owner").exists()) == (403, False)
    assert browser.delete(f"/api/auth/sessions/{session_id}").status_code == 204
    assert (refresh(actor.browser).status_code, actor.whose()["user"]) == (401, None)
    assert SecurityEvent.objects.get(session_id=session_id, kind=Kind.REVOKED).actor is None


def test_the_admin_and_the_command_name_the_actor(actor, staff, owner, capsys):
    call_command("list_sessions")
    assert f"{owner.email} (used by {staff.email})" in capsys.readouterr().out
    browser = signed_in_as(staff)
    row = impersonations().get()
    assert staff.email in browser.get(f"/admin/tokens/refreshtoken/{row.id}/change/").content.decode()
    page = browser.get("/admin/tokens/refreshtoken/").content.decode()
    assert f'<td class="field-actor nowrap">{staff.email}</td>' in page


def test_introspection_names_the_actor(actor, staff, settings):
    settings.TOKENS = {**settings.TOKENS, **INTROSPECTION}
    answer = by_service(actor.browser, actor.browser.cookies[ACCESS].value).json()
    assert answer["active"]
    assert answer["act"] == {"sub": str(staff.pk)}
    assert "auth_time" not in answer
    User.objects.filter(pk=staff.pk).update(is_active=False)
    assert by_service(actor.browser, actor.browser.cookies[ACCESS].value).json() == {"active": False}


def test_an_event_that_an_app_records_names_the_actor(actor, staff, owner):
    actor.browser.post("/probe/record")
    event = SecurityEvent.objects.get(kind=Kind.EMAIL_CHANGE)
    assert (event.user, event.actor) == (owner, staff)


@pytest.mark.parametrize("path", ["/sign-out", "/api/auth/logout"])
def test_whoever_signs_out_of_it_is_signed_out(actor, path):
    assert post(actor.browser, path).status_code in {204, 302}
    assert (RefreshToken.objects.live().exists(), actor.whose()["user"]) == (False, None)


ENDS = {
    "is deleted": lambda user: User.objects.get(pk=user.pk).delete(),
    "is deactivated": lambda user: User.objects.filter(pk=user.pk).update(is_active=False),
    "gets a new password": lambda user: change_password(User.objects.get(pk=user.pk)),
    "gets a new password by a query": lambda user: User.objects.filter(pk=user.pk).update(password="!"),
    "changes the password": change_password_elsewhere,
}
ENDS_OF_THE_ACTOR = {
    **ENDS,
    "is revoked": lambda user: revoke(RefreshToken.objects.filter(user=user, actor=None), Reason.ENDED_BY_STAFF),
}


@pytest.mark.parametrize("end", ENDS_OF_THE_ACTOR.values(), ids=ENDS_OF_THE_ACTOR)
def test_it_ends_in_every_process_when_the_actor(actor, staff, end):
    row, process = impersonations().get(), AnotherProcess()
    process.is_revoked(uuid4())
    end(staff)
    process.forward(1)
    process.is_revoked(uuid4(), str(staff.pk))  # This process reads of the change, and ends the sessions.
    process.forward(1)
    assert process.is_revoked(row.id, str(row.user_id))
    assert not impersonations().filter(revoked_at=None).exists()
    assert refresh(actor.browser).status_code == 401


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_it_ends_in_every_process_when_the_owner(actor, owner, end):
    row, process = impersonations().get(), AnotherProcess()
    process.is_revoked(uuid4())
    end(owner)
    process.forward(1)
    assert process.is_revoked(row.id, str(row.user_id))
    assert refresh(actor.browser).status_code == 401


@pytest.mark.parametrize(
    ("make", "sign_in"),
    [(lambda owner: UserFactory(), login), (lambda owner: owner, sign_in_by_form)],
    ids=["a third person, by the API", "the owner, by the page"],
)
def test_a_sign_in_in_the_same_browser_is_no_impersonation(actor, owner, make, sign_in):
    person = make(owner)
    sign_in(actor.browser, person)
    assert "act" not in actor.claims
    assert actor.whose()["actor"] is None
    assert [(row.user, row.actor) for row in RefreshToken.objects.live()] == [(person, None)]


def test_it_does_not_find_what_views_have_stored_for_the_actor(staff, owner):
    """Django's session of the actor had ended with the browser. One that a view then begins anew names nobody."""
    browser = signed_in_as(staff)
    del browser.cookies[SESSION]
    browser.get("/probe/store/mine")
    assert by_function(browser, owner).status_code == 200
    assert browser.get("/probe/seen").json() == {"user": str(owner.pk), "django": str(owner.pk), "data": {}}


def test_it_takes_no_place_of_the_owners_sessions_and_supersedes_none(staff, owner, another, settings):
    settings.TOKENS = {**settings.TOKENS, "MAX_SESSIONS": 2}
    for _ in range(2):
        login(another(), owner)
    browser = signed_in_as(owner)
    login(browser, staff)
    assert RefreshToken.objects.live().filter(user=owner).count() == 1
    login(another(), owner)
    by_function(browser, owner)
    assert RefreshToken.objects.live().filter(user=owner, actor=None).count() == 2
    login(another(), owner)
    assert RefreshToken.objects.live().filter(user=owner, actor=None).count() == 2
    assert impersonations().live().count() == 1


def test_a_release_at_the_limit_of_sessions_ends_no_other(actor, staff, another, settings):
    settings.TOKENS = {**settings.TOKENS, "MAX_SESSIONS": 2}
    login(another(), staff)
    assert (actor.release().status_code, RefreshToken.objects.live().filter(user=staff).count()) == (200, 2)


@pytest.mark.parametrize(
    "make",
    [lambda staff: staff, lambda staff: AdminFactory(), lambda staff: UserFactory(is_active=False)],
    ids=["oneself", "a superuser", "an inactive user"],
)
def test_is_refused_for(db, make):
    support = UserFactory(is_staff=True)
    browser = signed_in_as(support)
    assert by_function(browser, make(support)).status_code == 403
    assert (browser.get("/probe/whose").json()["user"], impersonations().exists()) == (str(support.pk), False)


def test_is_refused_within_an_impersonation(actor, owner):
    third = UserFactory()
    assert by_function(actor.browser, third).status_code == 403
    owner.is_superuser = True
    owner.save()
    assert (by_hijack(actor.browser, third).status_code, actor.whose()["user"]) == (403, str(owner.pk))


def test_a_session_in_mode_body_begins_none(staff, owner, settings, api):
    settings.TOKENS = {**settings.TOKENS, "MODES": ["cookie", "body"]}
    given = login(api, staff, mode="body")
    headers = {"Authorization": f"Bearer {given['access_token']}"}
    api.cookies[DEVICE] = given["device_token"]
    assert api.post(f"/probe/impersonate/{owner.email}", headers=headers).status_code == 403
    assert not impersonations().exists()


def test_the_cookies_of_a_lost_impersonation_are_deleted(actor, owner):
    signed_in_as(owner).delete(f"/api/auth/sessions/{impersonations().get().id}")
    actor.browser.get("/", headers={"Accept": "text/html", "Sec-Fetch-Mode": "navigate"})
    assert (refresh(actor.browser).status_code, actor.browser.cookies[REFRESH].value) == (401, "")


def test_the_actors_deletion_leaves_no_session_that_looks_like_the_owners_own(actor, staff, owner):
    staff.delete()
    assert not RefreshToken.objects.filter(user=owner).exists()
    kinds = SecurityEvent.objects.filter(user=owner).values_list("kind", "actor", "reason").order_by("id")
    assert list(kinds) == [(Kind.IMPERSONATED, None, ""), (Kind.REVOKED, None, Reason.ACTOR_ENDED)]


def test_deactivation_unheard_ends_it_at_its_refresh(actor, clock):
    deactivate_in_sql(None)
    clock.forward(700)
    assert refresh(actor.browser).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_a_view_that_fails_after_the_release_leaves_the_actor_signed_in(actor, staff):
    actor.browser.raise_request_exception = False
    assert (actor.browser.post("/probe/release-and-fail").status_code, actor.claims["sub"]) == (500, str(staff.pk))
    # Django does not save its session after an error of the server.
    assert (actor.whose()["user"], actor.whose()["django"]) in [(str(staff.pk), None), (str(staff.pk), str(staff.pk))]
