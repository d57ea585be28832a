"""The page "Security" and the pages that change factors."""

import re

import pytest

from factors.models import Totp
from tests.browsers import ACCESS, login
from tests.factories import PASSWORD, UserFactory
from tests.factors.steps import code, later, set_up
from tokens.models import RefreshToken
from tokens.sessions import factors

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

PAGE = "/account/security"
PAGES = (PAGE, f"{PAGE}/app", f"{PAGE}/app/remove", f"{PAGE}/recovery-codes")


def secret_on(response):
    return re.search(r"<code>([A-Z2-7 ]+)</code>", response.content.decode())[1].replace(" ", "")


def codes_on(response):
    return re.findall(r"<li><code>([a-z2-7-]+)</code>", response.content.decode())


def test_an_app_is_set_up_used_and_removed(signed_in, user, clock):
    assert "Set up an authenticator app" in signed_in.get(PAGE).content.decode()
    assert signed_in.get(f"{PAGE}/app").status_code == 200
    page = signed_in.post(f"{PAGE}/app")
    assert "no-store" in page["Cache-Control"]
    secret = secret_on(page)
    wrong = signed_in.post(f"{PAGE}/app/confirm", {"code": "000000"})
    assert "This code is not right" in wrong.content.decode()
    assert secret_on(wrong) == secret
    made = codes_on(signed_in.post(f"{PAGE}/app/confirm", {"code": code(secret, clock.now)}))
    assert len(made) == 10
    assert factors.offered(None, user) == ["password", "totp", "recovery_code"]
    assert "Codes left: 10." in signed_in.get(PAGE).content.decode()
    assert len({*codes_on(signed_in.post(f"{PAGE}/recovery-codes"))} - {*made}) == 10
    assert signed_in.post(f"{PAGE}/app/remove").headers["Location"] == PAGE
    assert factors.offered(None, user) == ["password"]
    assert "The app is removed." in signed_in.get(PAGE).content.decode()


def test_no_page_shows_a_secret_or_a_code_again(signed_in, clock):
    secret = secret_on(signed_in.post(f"{PAGE}/app"))
    made = codes_on(signed_in.post(f"{PAGE}/app/confirm", {"code": code(secret, clock.now)}))
    signed_in.post(f"{PAGE}/app")
    shown = "".join(signed_in.get(path, follow=True).content.decode() for path in (*PAGES, f"{PAGE}/app/confirm"))
    assert not [text for text in (secret, *made, Totp.objects.get(confirmed_at=None).decrypt()) if text in shown]


@pytest.mark.parametrize("path", [*PAGES, f"{PAGE}/app/confirm"])
def test_a_stranger_is_led_to_the_page_to_sign_in(client, path):
    for answer in (client.get(path), client.post(path, {"code": "123456"})):
        if path != PAGES[0] or answer.status_code != 405:
            assert answer.headers["Location"].startswith("/sign-in?next=")


@pytest.mark.parametrize("path", PAGES[1:])
def test_a_change_needs_a_recent_sign_in(signed_in, clock, path):
    later(signed_in, clock)
    for answer in (signed_in.get(path), signed_in.post(path)):
        assert answer.headers["Location"] == f"/sign-in/again?next={path}"
    assert not Totp.objects.exists()


@pytest.mark.parametrize("path", PAGES[1:])
def test_with_an_access_token_alone_a_change_asks_for_the_password(signed_in, clock, client, path):
    set_up(signed_in, clock.now)
    before = list(Totp.objects.values())
    client.cookies[ACCESS] = signed_in.cookies[ACCESS].value
    for answer in (client.get(path), client.post(path), client.post(path, {"current_password": "wrong"})):
        assert 'name="current_password"' in answer.content.decode()
    assert list(Totp.objects.values()) == before
    answer = client.post(path, {"current_password": PASSWORD})
    assert "This is not your current password" not in answer.content.decode()
    assert answer.status_code == 302 or secret_or_codes(answer)


def secret_or_codes(response):
    return codes_on(response) or secret_on(response)


def test_all_other_sessions_end_if_the_box_is_checked(signed_in, user, clock, another):
    login(another(), user)
    secret = secret_on(signed_in.post(f"{PAGE}/app"))
    signed_in.post(f"{PAGE}/app/confirm", {"code": code(secret, clock.now), "end_others": "on"})
    assert RefreshToken.objects.live().count() == 1


def test_the_last_way_in_stays(client, clock):
    client.force_login(UserFactory(password=None))
    client.get(PAGE)
    set_up(client, clock.now)
    client.post(f"{PAGE}/app/remove")
    assert "There would be no way left into your account" in client.get(PAGE).content.decode()
    assert Totp.objects.count() == 1


def test_it_is_in_german_too(signed_in, clock):
    set_up(signed_in, clock.now)
    page = signed_in.get(PAGE, headers={"Accept-Language": "de"}).content.decode()
    assert "Codes übrig: 10." in page
    assert "Authenticator-App" in page


def test_without_the_pages_of_accounts_they_have_a_base_of_their_own(signed_in, clock, settings):
    settings.ROOT_URLCONF = "tests.factors.urls"
    page = signed_in.get(PAGE).content.decode()
    assert "<h1>Security</h1>" in page
    assert "Latchkey" not in page
    later(signed_in, clock)
    assert 'name="current_password"' in signed_in.get(f"{PAGE}/app").content.decode()
    answer = signed_in.post(f"{PAGE}/app", {"current_password": PASSWORD})
    assert secret_on(answer)
