"""Impersonation: the actor is named everywhere, changes no account, and returns to their own sign-in."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings as django_settings
from django.core import mail
from django.core.management import call_command
from django.test import Client

from accounts.models import User
from tests.attacks.doors import INTROSPECTION, by_service
from tests.attacks.test_doors import until_one_waits
from tests.browsers import ACCESS, DEVICE, FIREFOX, REFRESH, AsyncBrowser, login, post, refresh
from tests.factories import PASSWORD, AdminFactory, UserFactory
from tests.tokens.service.holders import HOME, AnotherProcess, Holder, deactivate_in_sql
from tests.tokens.service.threads import in_thread, paused
from tokens.checks import check_hijack
from tokens.conf import codec
from tokens.models import Device, RefreshToken, SecurityEvent
from tokens.service import binding, devices, impersonation, refreshing, users
from tokens.service.opening import open_session
from tokens.service.revocation import revoke

Kind, Reason = SecurityEvent.Kind, RefreshToken.Reason


@pytest.fixture(autouse=True)
def _urls(settings: Any) -> None:
    """Serve views that begin and end impersonations, without and with django-hijack."""
    settings.ROOT_URLCONF = "tests.attacks.impersonation_urls"
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "hijack"]
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tokens.contrib.hijack.HijackUserMiddleware"]


@pytest.fixture
def owner(db: None) -> Any:
    """The user whose account is used by somebody else."""
    return UserFactory()


@pytest.fixture
def staff(db: None) -> Any:
    """The actor, a superuser. django-hijack lets no other users impersonate."""
    return AdminFactory()


def by_function(browser: Client, user: Any) -> Any:
    return browser.post(f"/probe/impersonate/{user.email}")


def by_hijack(browser: Client, user: Any) -> Any:
    return browser.post("/hijack/acquire/", {"user_pk": user.pk, "next": "/probe/whose"})


def release_by_function(browser: Client) -> Any:
    return browser.post("/probe/release")


def release_by_hijack(browser: Client) -> Any:
    return browser.post("/hijack/release/", {"next": "/probe/whose"})


def by_page(browser: Client, user: Any) -> Any:
    return browser.post("/sign-in", {"username": user.email, "password": PASSWORD})


WAYS = {
    "sessions.impersonate": (Client, by_function, release_by_function),
    "django-hijack": (Client, by_hijack, release_by_hijack),
    "django-hijack under ASGI": (AsyncBrowser, by_hijack, release_by_hijack),
}
SIGN_INS = {"after a sign-in by the API": login, "after a sign-in by the page": by_page}


class Impersonator:
    """A browser in which the actor is signed in. ``begin`` and ``release`` say how."""

    def __init__(self, kind: type[Client], begin: Any, release: Any) -> None:
        self.browser = kind(headers={"User-Agent": FIREFOX})
        self._begin, self._release = begin, release

    def begin(self, user: Any) -> Any:
        return self._begin(self.browser, user)

    def release(self) -> Any:
        return self._release(self.browser)

    @property
    def claims(self) -> Any:
        return codec().loads_expired(self.browser.cookies[ACCESS].value).claims

    def whose(self) -> Any:
        return self.browser.get("/probe/whose").json()


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def impersonator(request: pytest.FixtureRequest) -> Impersonator:
    """Each way to impersonate. A test with one way would not notice that another one is an ordinary sign-in."""
    return Impersonator(*request.param)


@pytest.fixture
def actor(request: pytest.FixtureRequest, staff: Any, owner: Any) -> Impersonator:
    """A browser in which the staff uses the account of the owner, from the time of `clock` on, if the test uses it.

    Tokens of the real time would have expired on that clock, and a refusal would be no proof.
    """
    if "clock" in request.fixturenames:
        request.getfixturevalue("clock")
    found = Impersonator(*WAYS["sessions.impersonate"])
    login(found.browser, staff)
    assert found.begin(owner).status_code == 200
    return found


def impersonations() -> Any:
    return RefreshToken.objects.exclude(actor=None)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("sign_in", SIGN_INS.values(), ids=SIGN_INS)
def test_the_actor_is_named_everywhere_and_comes_back_with_the_time_of_before(
    impersonator, sign_in, staff, owner, clock, settings
):
    sign_in(impersonator.browser, staff)
    before = impersonator.claims
    clock.forward(100)
    assert impersonator.begin(owner).status_code in {200, 302}
    assert impersonator.claims["sub"] == str(owner.pk)
    assert impersonator.claims["act"] == {"sub": str(staff.pk)}
    assert not {"auth_time", "amr"} & impersonator.claims.keys()
    whose = impersonator.whose()
    assert whose == {
        "user": str(owner.pk),
        "django": str(owner.pk),
        "actor": str(staff.pk),
        "recent": False,
        "hijacked": True,
    }
    row = impersonations().get()
    assert (row.user, row.actor, row.remember, row.device.user) == (owner, staff, False, staff)
    assert (row.expires_at - row.created_at).total_seconds() == 3600
    begun = SecurityEvent.objects.get(session_id=row.id)
    assert (begun.kind, begun.user, begun.actor) == (Kind.IMPERSONATED, owner, staff)

    clock.forward(100)
    assert impersonator.release().status_code in {200, 302}
    assert impersonator.claims["sub"] == str(staff.pk)
    assert impersonator.claims["auth_time"] == before["auth_time"]
    assert "act" not in impersonator.claims
    assert impersonator.whose() == {
        "user": str(staff.pk),
        "django": str(staff.pk),
        "actor": None,
        "recent": True,
        "hijacked": False,
    }
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
    assert refresh(browser).status_code == 401
    assert browser.get("/api/auth/me").status_code == 401


def test_its_cookies_end_with_the_browser(actor):
    for name in (ACCESS, REFRESH):
        assert actor.browser.cookies[name]["max-age"] == ""


def test_the_owner_sees_who_uses_the_account_and_ends_it(actor, staff, owner, another):
    browser = another()
    login(browser, owner)
    found = browser.get("/api/auth/sessions").json()["results"]
    assert [row["actor"] for row in found] == [None, {"id": str(staff.pk), "name": staff.email}]
    page = browser.get("/", headers={"Accept-Language": "de"}).content.decode()
    assert f"Verwendet von {staff.email}" in page
    assert page.count("/rename") == 1
    session_id = impersonations().get().id
    assert post(browser, f"/api/auth/sessions/{session_id}").status_code == 405
    renamed = browser.patch(
        f"/api/auth/sessions/{session_id}", {"device_name": "of the owner"}, content_type="application/json"
    )
    assert renamed.status_code == 403
    assert not Device.objects.filter(name="of the owner").exists()
    assert browser.delete(f"/api/auth/sessions/{session_id}").status_code == 204
    assert refresh(actor.browser).status_code == 401
    assert actor.whose()["user"] is None
    assert SecurityEvent.objects.get(session_id=session_id, kind=Kind.REVOKED).actor is None


def test_the_admin_and_the_command_name_the_actor(actor, staff, owner, another, capsys):
    call_command("list_sessions")
    assert f"{owner.email} (used by {staff.email})" in capsys.readouterr().out
    browser = another()
    login(browser, staff)
    row = impersonations().get()
    page = browser.get(f"/admin/tokens/refreshtoken/{row.id}/change/").content.decode()
    assert staff.email in page
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


CHANGES = {
    "the address": lambda browser: post(browser, "/api/auth/email/change", {"email": "actor@example.org"}),
    "the password": lambda browser: post(
        browser,
        "/api/auth/password/change",
        {"current_password": PASSWORD, "new_password": "what the actor has chosen"},
    ),
    "the account's existence": lambda browser: browser.delete("/api/auth/me"),
    "the other sessions": lambda browser: browser.delete("/api/auth/sessions"),
    "the time of the sign-in": lambda browser: post(browser, "/api/auth/reauthenticate", {"password": PASSWORD}),
    "the name of a device": lambda browser: browser.patch(
        f"/api/auth/sessions/{RefreshToken.objects.filter(actor=None).latest('id').id}",
        {"device_name": "of the actor"},
        content_type="application/json",
    ),
    "the time of the sign-in, on the page": lambda browser: browser.post(
        "/sign-in/again", {"current_password": PASSWORD}
    ),
    "something in the admin": lambda browser: browser.post("/admin/auth/group/add/", {"name": "actors"}),
    "the password, in the admin": lambda browser: browser.post(
        "/admin/password_change/",
        {
            "old_password": PASSWORD,
            "new_password1": "what the actor has chosen",
            "new_password2": "what the actor has chosen",
        },
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_it_never_changes_even_for_an_actor_who_knows_the_password(staff, change, another):
    owner = AdminFactory()
    browser = another()
    login(browser, staff)
    assert by_function(browser, owner).status_code == 200
    login(another(), owner)
    before = list(User.objects.order_by("pk").values()), list(Device.objects.order_by("pk").values("name"))
    assert change(browser).status_code == 403
    after = list(User.objects.order_by("pk").values()), list(Device.objects.order_by("pk").values("name"))
    assert after == before
    assert RefreshToken.objects.live().count() == 3
    assert browser.get("/probe/whose").json()["recent"] is False


def test_an_event_that_an_app_records_names_the_actor(actor, staff, owner):
    actor.browser.post("/probe/record")
    event = SecurityEvent.objects.get(kind=Kind.EMAIL_CHANGE)
    assert (event.user, event.actor) == (owner, staff)


def sign_out_by_page(browser: Client) -> Any:
    return browser.post("/sign-out")


def sign_out_by_api(browser: Client) -> Any:
    return post(browser, "/api/auth/logout")


@pytest.mark.parametrize("sign_out", [sign_out_by_page, sign_out_by_api], ids=["on the page", "by the API"])
def test_whoever_signs_out_of_it_is_signed_out(actor, sign_out):
    assert sign_out(actor.browser).status_code in {204, 302}
    assert not RefreshToken.objects.live().exists()
    assert actor.whose()["user"] is None


def change_password(user: Any) -> None:
    row = User.objects.get(pk=user.pk)
    row.set_password("quite another passphrase")
    row.save()


def revoke_own(user: Any) -> None:
    revoke(RefreshToken.objects.filter(user=user, actor=None), Reason.ENDED_BY_STAFF)


def change_password_elsewhere(user: Any) -> None:
    browser = Client(headers={"User-Agent": FIREFOX})
    login(browser, user)
    given = {"current_password": PASSWORD, "new_password": "what the user has chosen"}
    assert post(browser, "/api/auth/password/change", given).status_code == 204


ENDS = {
    "is deleted": lambda user: User.objects.get(pk=user.pk).delete(),
    "is deactivated": lambda user: User.objects.filter(pk=user.pk).update(is_active=False),
    "gets a new password": change_password,
    "gets a new password by a query": lambda user: User.objects.filter(pk=user.pk).update(password="!"),
    "changes the password": change_password_elsewhere,
}
ONLY_OF_THE_ACTOR = {"is revoked": revoke_own}


@pytest.mark.parametrize("end", [*ENDS.values(), *ONLY_OF_THE_ACTOR.values()], ids=[*ENDS, *ONLY_OF_THE_ACTOR])
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


def test_its_refresh_is_refused_if_the_actors_session_ended_unheard(staff, owner):
    own = Holder(staff)
    client = own.browser
    begun = impersonation.begin(staff.pk, own.id, owner.pk, client)
    RefreshToken.objects.filter(id=own.id).update(revoked_at=own.row.created_at)
    answer = refreshing.refresh(begun.refresh_token, {begun.session.mode}, client)
    assert isinstance(answer, refreshing.Refusal)
    assert answer.cause == Reason.ACTOR_ENDED


def test_a_second_person_who_signs_in_in_the_same_browser_is_no_impersonation(actor, owner):
    third = UserFactory()
    login(actor.browser, third)
    assert "act" not in actor.claims
    assert actor.whose()["actor"] is None
    assert [row.user for row in RefreshToken.objects.live()] == [third]


def test_the_owner_who_signs_in_in_the_same_browser_is_no_impersonation(actor, owner):
    by_page(actor.browser, owner)
    assert "act" not in actor.claims
    live = RefreshToken.objects.live()
    assert [(row.user, row.actor) for row in live] == [(owner, None)]


def test_it_takes_no_place_of_the_owners_sessions_and_supersedes_none(staff, owner, another, settings):
    settings.TOKENS = {**settings.TOKENS, "MAX_SESSIONS": 2}
    for _ in range(2):
        login(another(), owner)
    browser = another()
    login(browser, owner)
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
    assert actor.release().status_code == 200
    assert RefreshToken.objects.live().filter(user=staff).count() == 2


def test_the_tokens_of_before_open_nothing_after_the_release(staff, owner, another):
    browser = another()
    login(browser, staff)
    before = browser.cookies[REFRESH].value
    by_function(browser, owner)
    within = browser.cookies[REFRESH].value
    release_by_function(browser)
    for token in (before, within):
        copy = another()
        copy.cookies[REFRESH] = token
        assert refresh(copy).status_code == 401


@pytest.mark.parametrize(
    "make",
    [
        lambda staff: staff,
        lambda staff: AdminFactory(),
        lambda staff: UserFactory(is_active=False),
    ],
    ids=["oneself", "a superuser", "an inactive user"],
)
def test_is_refused_for(db, make, another):
    support = UserFactory(is_staff=True)
    browser = another()
    login(browser, support)
    target = make(support)
    assert by_function(browser, target).status_code == 403
    assert browser.get("/probe/whose").json()["user"] == str(support.pk)
    assert not impersonations().exists()


def test_is_refused_within_an_impersonation(actor, owner):
    third = UserFactory()
    assert by_function(actor.browser, third).status_code == 403
    owner.is_superuser = True
    owner.save()
    assert by_hijack(actor.browser, third).status_code == 403
    assert actor.whose()["user"] == str(owner.pk)


def test_a_refusal_by_us_leaves_the_actor_signed_in(db, another, settings):
    settings.HIJACK_PERMISSION_CHECK = "tests.attacks.test_impersonation.everybody"
    support, admin = UserFactory(is_staff=True), AdminFactory()
    browser = another()
    login(browser, support)
    assert by_hijack(browser, admin).status_code == 403
    assert browser.get("/probe/whose").json()["user"] == str(support.pk)
    assert browser.get("/probe/whose").json()["django"] in {None, str(support.pk)}
    assert not impersonations().exists()


def everybody(*, hijacker: Any, hijacked: Any) -> bool:
    return True


@pytest.mark.parametrize("path", ["/probe/impersonate/{}", "/probe/release"], ids=["begin", "release"])
def test_an_access_token_alone_neither_begins_nor_ends_one(actor, staff, owner, another, path):
    if "impersonate" in path:
        release_by_function(actor.browser)
    headers = {"Authorization": f"Bearer {actor.browser.cookies[ACCESS].value}"}
    before = RefreshToken.objects.live().count()
    assert another().post(path.format(owner.email), headers=headers).status_code == 403
    assert RefreshToken.objects.live().count() == before


def test_a_copy_of_its_tokens_without_the_device_does_not_become_the_actor(actor, another):
    copy = another()
    for name in (ACCESS, REFRESH):
        copy.cookies[name] = actor.browser.cookies[name].value
    assert release_by_function(copy).status_code == 403
    copy.cookies[DEVICE] = devices.new_token()
    assert release_by_function(copy).status_code == 403
    assert impersonations().live().exists()


def test_a_session_in_mode_body_begins_none(staff, owner, settings):
    settings.TOKENS = {**settings.TOKENS, "MODES": ["cookie", "body"]}
    browser = Client(headers={"User-Agent": FIREFOX})
    given = login(browser, staff, mode="body")
    headers = {"Authorization": f"Bearer {given['access_token']}"}
    browser.cookies[DEVICE] = given["device_token"]
    assert browser.post(f"/probe/impersonate/{owner.email}", headers=headers).status_code == 403
    assert not impersonations().exists()


def test_the_cookies_of_a_lost_impersonation_are_deleted(actor, owner, another):
    browser = another()
    login(browser, owner)
    browser.delete(f"/api/auth/sessions/{impersonations().get().id}")
    response = actor.browser.get("/", headers={"Accept": "text/html", "Sec-Fetch-Mode": "navigate"})
    response = refresh(actor.browser)
    assert response.status_code == 401
    assert actor.browser.cookies[REFRESH].value == ""


def test_django_hijack_works_without_what_an_earlier_sign_in_left_in_djangos_session(staff, owner, another):
    browser = another()
    login(browser, staff)
    browser.cookies.pop(django_settings.SESSION_COOKIE_NAME, None)
    assert by_hijack(browser, owner).status_code == 302
    browser.cookies.pop(django_settings.SESSION_COOKIE_NAME, None)
    assert browser.get("/probe/whose").json()["hijacked"] is True
    assert release_by_hijack(browser).status_code == 302
    assert browser.get("/probe/whose").json()["user"] == str(staff.pk)


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_revocation_of_the_actor_that_begins_while_one_is_opened_ends_it(monkeypatch):
    staff, owner = AdminFactory(), UserFactory()
    own = Holder(staff)
    begun = []

    def begin_slowly(pause: Callable[[], None]) -> None:
        insert = impersonation.insert

        def pause_first(*args: Any) -> Any:
            pause()
            return insert(*args)

        monkeypatch.setattr(impersonation, "insert", pause_first)
        begun.append(impersonation.begin(staff.pk, own.id, owner.pk, own.browser))

    with ExitStack() as ending, paused(begin_slowly):
        ending.enter_context(in_thread(own.end))
        until_one_waits()
    assert begun
    assert not RefreshToken.objects.live().exists()


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_release_does_not_undo_a_revocation_that_is_committed_meanwhile(monkeypatch):
    staff, owner = AdminFactory(), UserFactory()
    own = Holder(staff)
    begun = impersonation.begin(staff.pk, own.id, owner.pk, own.browser)

    def after_the_revocation(*args: Any, **options: Any) -> Any:
        with in_thread(own.end):
            pass
        return open_session(*args, **options)

    monkeypatch.setattr(impersonation, "open_session", after_the_revocation)
    with pytest.raises(users.SessionEnded):
        impersonation.end(begun.session.id, own.browser)
    assert not RefreshToken.objects.live().exists()


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
def test_two_actors_who_impersonate_each_other_at_once_do_not_wait_for_each_other():
    both = [AdminFactory(), AdminFactory()]
    held = [Holder(user, HOME) for user in both]
    for _ in range(20):
        with ExitStack() as threads:
            for own, other in zip(held, reversed(both), strict=True):
                threads.enter_context(
                    in_thread(
                        lambda own=own, other=other: impersonation.begin(own.user.pk, own.id, other.pk, own.browser)
                    )
                )
    assert impersonations().live().count() == 40


def test_the_actors_deletion_leaves_no_session_that_looks_like_the_owners_own(actor, staff, owner):
    staff.delete()
    assert not RefreshToken.objects.filter(user=owner).exists()
    kinds = SecurityEvent.objects.filter(user=owner).values_list("kind", "actor", "reason").order_by("id")
    assert list(kinds) == [(Kind.IMPERSONATED, None, ""), (Kind.REVOKED, None, Reason.ACTOR_ENDED)]


def test_deactivation_unheard_ends_it_at_its_refresh(actor, clock):
    deactivate_in_sql(None)
    clock.forward(700)
    assert refresh(actor.browser).status_code == 401


def test_an_actor_whose_session_is_bound_goes_back_to_it(staff, owner):
    own = Holder(staff)
    own.put_back(bound_key={}, bound_algorithm="ES256", bound_at=own.row.created_at)
    begun = impersonation.begin(staff.pk, own.id, owner.pk, own.browser)
    assert not binding.is_offered(begun.session)
    issued = impersonation.end(begun.session.id, own.browser)
    assert (issued.session.id, issued.refresh_token, issued.binds) == (own.id, None, True)
    assert list(RefreshToken.objects.live()) == [own.row]


@pytest.mark.django_db(transaction=True)
def test_reuse_of_its_refresh_token_is_reported_to_the_actor_and_not_as_a_device_of_the_owner(
    actor, staff, clock, another
):
    thief = another()
    thief.cookies[REFRESH] = actor.browser.cookies[REFRESH].value
    for _ in range(2):
        clock.forward(700)
        refresh(actor.browser)
        actor.browser.get("/api/auth/me")
    clock.forward(200)
    actor.browser.get("/api/auth/me")
    mail.outbox.clear()
    assert refresh(thief).status_code == 401
    event = SecurityEvent.objects.get(kind=Kind.REUSE_DETECTED)
    assert event.actor == staff
    assert [message.to for message in mail.outbox] == [[staff.email]]


@pytest.mark.django_db(transaction=True)
def test_a_view_that_fails_after_the_release_leaves_the_actor_signed_in(actor, staff):
    actor.browser.raise_request_exception = False
    assert actor.browser.post("/probe/release-and-fail").status_code == 500
    assert actor.claims["sub"] == str(staff.pk)
    # Django does not save its session after an error of the server.
    assert (actor.whose()["user"], actor.whose()["django"]) in [(str(staff.pk), None), (str(staff.pk), str(staff.pk))]


@pytest.mark.django_db
def test_every_page_has_django_hijacks_bar_while_somebody_is_impersonated_and_not_before(staff, owner, another):
    browser = another()
    login(browser, staff)
    pages = [browser.get("/probe/page").content]
    assert by_hijack(browser, owner).status_code == 302
    pages += [browser.get("/probe/page").content for _ in range(3)]
    assert [b"djhj" in page for page in pages] == [False, True, True, True]


@pytest.mark.parametrize(
    ("middleware", "expected"),
    [("hijack.middleware.HijackUserMiddleware", ["tokens.W008"]), ("tokens.contrib.hijack.HijackUserMiddleware", [])],
    ids=["django-hijack without the adapter", "django-hijack with the adapter"],
)
def test_the_check_reports(settings, middleware, expected):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE[:-1], middleware]
    assert [message.id for message in check_hijack()] == expected
