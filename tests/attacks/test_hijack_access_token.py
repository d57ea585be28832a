"""With django-hijack, an access token alone gets no sign-in in Django's session, and so changes nothing in the admin.

django-hijack's views read Django's session, so our adapter writes to it before them. The thief in these tests has the
access token of a member of the staff, and nothing else of theirs.
"""

from typing import Any

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.test import Client

from accounts.models import User
from tests.attacks.test_access_token_alone import Signed, _serves_all, sign_in
from tests.browsers import ACCESS, DEVICE, FIREFOX, SESSION, new_browser
from tests.factories import PASSWORD, AdminFactory, UserFactory
from tests.tokens.contrib.test_hijack import everybody
from tests.tokens.web.impersonation import _urls, by_function, by_hijack
from tokens.models import RefreshToken
from tokens.web.django.django_sign_in import MARK, OUR_BACKEND

__all__ = ["_serves_all", "_urls", "everybody"]

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

CHOSEN = "what the thief has chosen"
VISITS = {
    "the page that begins": lambda thief, user: thief.get("/hijack/acquire/"),
    "the form that begins": by_hijack,
    "the form that begins, for nobody": lambda thief, user: thief.post("/hijack/acquire/"),
    "the page that releases": lambda thief, user: thief.get("/hijack/release/"),
    "the form that releases": lambda thief, user: thief.post("/hijack/release/"),
}
RELEASES = [VISITS["the page that releases"], VISITS["the form that releases"]]
each_visit = pytest.mark.parametrize("visit", VISITS.values(), ids=VISITS)


@pytest.fixture
def target(db: None) -> Any:
    """A user whose password the staff may change. Without one, a thief who gets into the admin would go unnoticed."""
    return UserFactory()


def thief_of(signed: Signed) -> Client:
    return new_browser({signed.access_cookie: signed.access})


def set_password(browser: Client, user: Any) -> bool:
    """Set the user's password in the admin. Return whether it was changed."""
    given = {"usable_password": "true", "password1": CHOSEN, "password2": CHOSEN}
    browser.post(f"/admin/accounts/user/{user.pk}/password/", given)
    return User.objects.get(pk=user.pk).check_password(CHOSEN)


@each_visit
@pytest.mark.parametrize("kind", ["cookie", "scoped", "subdomain", "bound"])
def test_a_visit_leaves_no_sign_in_in_djangos_session(target, kind, visit):
    thief = thief_of(sign_in(AdminFactory(), kind))
    assert visit(thief, target).status_code in {400, 403, 405}
    thief.get("/probe/whose")
    assert (SESSION_KEY in thief.session, set_password(thief, target)) == (False, False)


@pytest.mark.parametrize("visit", RELEASES, ids=["the page that releases", "the form that releases"])
def test_neither_does_a_visit_with_the_access_token_of_an_impersonation(target, visit):
    signed = sign_in(AdminFactory(), "cookie")
    assert by_function(signed.client, target).status_code == 200
    thief = new_browser({ACCESS: signed.client.cookies[ACCESS].value})
    assert visit(thief, target).status_code in {403, 405}
    assert SESSION_KEY not in thief.session
    assert RefreshToken.objects.live().exclude(actor=None).exists()


@each_visit
def test_neither_does_a_bearer_token(target, visit):
    signed = sign_in(AdminFactory(), "body")
    thief = Client(headers={"User-Agent": FIREFOX, "Authorization": f"Bearer {signed.access}"})
    visit(thief, target)
    assert SESSION not in thief.cookies


@pytest.mark.parametrize("kind", ["scoped", "bound"])
def test_the_sign_in_of_an_earlier_release_in_djangos_session_is_no_proof_for_the_admin(target, kind):
    """It becomes one of the session whose access token comes with it, whichever that is."""
    staff = AdminFactory()
    signed = sign_in(staff, kind)
    session = SessionStore()
    session[SESSION_KEY], session[BACKEND_SESSION_KEY] = str(staff.pk), OUR_BACKEND
    session[HASH_SESSION_KEY], session[MARK] = staff.get_session_auth_hash(), 0
    session.save()
    thief = thief_of(signed)
    thief.cookies[SESSION] = session.session_key
    thief.get("/probe/whose")
    assert [set_password(browser, target) for browser in (thief, signed.client)] == [False, True]


def without_the_device(browser: Client) -> Any:
    del browser.cookies[DEVICE]
    return UserFactory()


REFUSED = {
    "the device cookie is missing": without_the_device,
    "the user is a superuser": lambda browser: AdminFactory(),
    "the user is inactive": lambda browser: UserFactory(is_active=False),
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("engine", ["db", "cache", "signed_cookies"])
def test_what_apps_have_stored_in_djangos_session_survives_a_refusal_because(settings, make, engine):
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.HIJACK_PERMISSION_CHECK = f"{__name__}.everybody"
    support = UserFactory(is_staff=True)
    browser = new_browser()
    browser.post("/sign-in", {"username": support.email, "password": PASSWORD})
    session = browser.session
    session["an app's"] = "data"
    session.save()
    browser.cookies[SESSION] = session.session_key
    assert (by_hijack(browser, make(browser)).status_code, browser.session.get("an app's")) == (403, "data")
    whose = browser.get("/probe/whose").json()
    assert (whose["user"], whose["django"], whose["hijacked"]) == (str(support.pk), str(support.pk), False)
