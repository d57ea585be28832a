"""Each change of factors is an event and a mail with the alarm's link, and offers to end the other sessions."""

import pytest

from factors.models import Totp
from tests.browsers import login, post
from tests.factories import PASSWORD
from tests.factors.steps import BY_TOTP, code, set_up
from tokens.models import RefreshToken, SecurityEvent

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

CODES, PAGE = "/api/auth/factors/recovery-codes", "/account/security"


def adds_an_app(browser, clock, **more):
    secret = post(browser, BY_TOTP).json()["secret"]
    return post(browser, f"{BY_TOTP}/confirm", {"code": code(secret, clock.now), **more})


def removes_the_app(browser, clock, **more):
    return browser.delete(BY_TOTP, more, content_type="application/json")


def makes_codes(browser, clock, **more):
    return post(browser, CODES, more)


def by_code(browser, user, clock):
    """Sign in to an account with an app."""
    clock.forward(60)
    post(browser, "/api/auth/login", {"email": user.email, "password": PASSWORD})
    right = code(Totp.objects.get(user=user).decrypt(), clock.now)
    assert post(browser, "/api/auth/factor", {"method": "totp", "answer": right}).status_code == 200


CHANGES = {
    "an app is added": (adds_an_app, "factor_added", "totp"),
    "an app is removed": (removes_the_app, "factor_removed", "totp"),
    "codes are made": (makes_codes, "factor_added", "recovery_code: replaced"),
}


@pytest.mark.parametrize(("change", "kind", "name"), CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("ends_others", [True, False], ids=["and ends the others", "and ends nothing"])
def test_is_told(
    signed_in, user, another, clock, mailoutbox, change, kind, name, ends_others, django_capture_on_commit_callbacks
):
    if change is not adds_an_app:
        set_up(signed_in, clock.now)
    other = another()
    login(other, user) if change is adds_an_app else by_code(other, user, clock)
    others = RefreshToken.objects.live().exclude(id=signed_in.get("/api/auth/me").json()["session"]["id"])
    assert others.exists()
    SecurityEvent.objects.all().delete()
    mailoutbox.clear()
    with django_capture_on_commit_callbacks(execute=True):
        answer = change(signed_in, clock, **({"end_other_sessions": True} if ends_others else {}))
    assert answer.status_code in {200, 204}, answer.content
    event = SecurityEvent.objects.get(kind=kind)
    assert (event.user, event.reason) == (user, name)
    assert others.exists() is not ends_others
    [mail] = mailoutbox
    assert "/alarm?token=" in mail.body


@pytest.mark.parametrize("path", ["app/confirm", "app/remove", "recovery-codes"])
def test_each_page_has_the_checkbox(signed_in, clock, path):
    set_up(signed_in, clock.now)
    page = signed_in.post(f"{PAGE}/app") if path == "app/confirm" else signed_in.get(f"{PAGE}/{path}")
    assert 'name="end_others"' in page.content.decode()
