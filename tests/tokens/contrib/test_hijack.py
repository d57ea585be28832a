"""The adapter for django-hijack: its views, its bar, its locks, and the check of its middleware."""

from functools import partial
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import update_last_login
from django.contrib.auth.signals import user_logged_in

from tests.factories import AdminFactory, UserFactory
from tests.parallel import at_once
from tests.tokens.web.impersonation import _urls, by_hijack, impersonations, owner, release_by_hijack, staff
from tests.tokens.web_steps import signed_in_as
from tokens.checks.packages import check_hijack
from tokens.models import RefreshToken
from tokens.web.django import last_login

__all__ = ["_urls", "owner", "staff"]

ROUNDS = 8


@pytest.mark.long
@pytest.mark.django_db(transaction=True)
def test_two_people_impersonate_each_other_and_are_released():
    people = AdminFactory(), AdminFactory()
    browsers = [signed_in_as(person) for person in people]
    for _ in range(ROUNDS):
        acquired = at_once(*map(partial, [by_hijack] * 2, browsers, reversed(people)))
        assert [response.status_code for response in acquired] == [302, 302]
        assert RefreshToken.objects.live().exclude(actor=None).count() == 2
        released = at_once(*(partial(release_by_hijack, browser) for browser in browsers))
        assert [response.status_code for response in released] == [302, 302]
        assert not RefreshToken.objects.live().exclude(actor=None).exists()


def test_a_user_who_does_not_exist_is_not_found(db):
    person = AdminFactory()
    browser = signed_in_as(person)
    person.pk = "01890000-0000-7000-8000-000000000000"
    assert by_hijack(browser, person).status_code == 404


def test_a_refusal_by_us_leaves_the_actor_signed_in(db, settings):
    settings.HIJACK_PERMISSION_CHECK = "tests.tokens.contrib.test_hijack.everybody"
    support, admin = UserFactory(is_staff=True), AdminFactory()
    browser = signed_in_as(support)
    assert by_hijack(browser, admin).status_code == 403
    assert browser.get("/probe/whose").json()["user"] == str(support.pk)
    assert browser.get("/probe/whose").json()["django"] in {None, str(support.pk)}
    assert not impersonations().exists()


def everybody(*, hijacker: Any, hijacked: Any) -> bool:
    return True


def test_django_hijack_works_without_what_an_earlier_sign_in_left_in_djangos_session(staff, owner):
    browser = signed_in_as(staff)
    browser.cookies.pop(django_settings.SESSION_COOKIE_NAME, None)
    assert by_hijack(browser, owner).status_code == 302
    browser.cookies.pop(django_settings.SESSION_COOKIE_NAME, None)
    assert browser.get("/probe/whose").json()["hijacked"] is True
    assert release_by_hijack(browser).status_code == 302
    assert browser.get("/probe/whose").json()["user"] == str(staff.pk)


@pytest.mark.django_db
def test_our_receiver_for_the_time_of_the_last_sign_in_stays(staff, owner):
    """django-hijack disconnects it while it signs in, and then connects Django's."""
    browser = signed_in_as(staff)
    for step in (partial(by_hijack, browser, owner), partial(release_by_hijack, browser)):
        assert step().status_code == 302
        receivers, _ = user_logged_in._live_receivers(None)
        assert last_login.note in receivers
        assert update_last_login not in receivers


@pytest.mark.django_db
def test_every_page_has_django_hijacks_bar_while_somebody_is_impersonated_and_not_before(staff, owner):
    browser = signed_in_as(staff)
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
