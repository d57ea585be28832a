"""Where ``?next=`` leads: only to pages of our own site."""

import pytest

from accounts.next_page import OwnSite
from tests.accounts.steps import leads_to
from tests.factories import PASSWORD

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

OURS = ["/admin/", "/?a=1", "your-devices", "no-view", "/account/delete#here", "https://testserver/admin/"]
NOT_OURS = {
    "another host": "https://evil.test/",
    "another host, with our scheme": "//evil.test",
    "three slashes, of which browsers drop one": "///evil.test",
    "four slashes, of which browsers drop two": "////evil.test",
    "a backslash, which browsers turn into a slash": "/\\evil.test",
    "two backslashes": "\\\\evil.test",
    "a scheme to which browsers add slashes": "https:evil.test",
    "a scheme to which browsers add one slash": "https:/evil.test",
    "our host without https": "http://testserver/",
    "no host": "http:///testserver",
    "our host as the name of a user": "//testserver@evil.test/",
    "our host as the name of a user with a password": "https://testserver:443@evil.test/",
    "a user at our host": "https://somebody@testserver/",
    "another port": "https://testserver:8443/",
    "a host that begins with ours": "https://testserver.evil.test/",
    "a host that ends with ours": "https://eviltestserver/",
    "a script": "javascript:alert(1)",
    "a script with a tab, which browsers drop": "java\tscript:alert(1)",
    "data": "data:text/html,x",
    "a tab, which browsers drop": "/\t/evil.test",
    "a line break, which browsers drop": "/\n/evil.test",
    "a control character, which browsers drop": "\x08//evil.test",
    "a space, which browsers drop": " //evil.test",
    "nothing": "",
}


def sign_in(client, user, next):
    return client.post("/sign-in", {"username": user.email, "password": PASSWORD, "next": next}, secure=True)


def sign_in_with_a_query(client, user, next):
    given = {"username": user.email, "password": PASSWORD}
    return client.post("/sign-in", given, query_params={"next": next}, secure=True)


def open_the_form(client, user, next):
    sign_in(client, user, "")
    return client.get("/sign-in", {"next": next}, secure=True)


def sign_in_again(client, user, next):
    sign_in(client, user, "")
    return client.post("/sign-in/again", {"current_password": PASSWORD, "next": next}, secure=True)


WAYS = [sign_in, sign_in_with_a_query, open_the_form, sign_in_again]
in_every_way = pytest.mark.parametrize("way", WAYS, ids=[way.__name__ for way in WAYS])
with_every_bad_place = pytest.mark.parametrize("next", NOT_OURS.values(), ids=NOT_OURS)


@in_every_way
@pytest.mark.parametrize("next", OURS)
def test_it_leads_to_a_page_of_our_site(api, user, way, next):
    assert leads_to(way(api, user, next)) == next


@in_every_way
@with_every_bad_place
def test_it_does_not_lead_to_another_site(api, user, way, next):
    assert leads_to(way(api, user, next)) == ("/devices" if way is sign_in_again else "/")


@with_every_bad_place
def test_signing_out_and_the_forms_ignore_another_site(api, user, next):
    assert api.get("/sign-in", {"next": next}, secure=True).context["next"] == ""
    sign_in(api, user, "")
    assert api.get("/sign-in/again", {"next": next}, secure=True).context["next"] == ""
    assert api.post("/sign-out", {"next": next}, secure=True)["Location"] == "/signed-out"


@pytest.mark.parametrize(
    ("given", "kept"), [("/account/delete", "/account/delete"), ("https://evil.test/", "/devices")]
)
def test_without_a_session_the_page_that_asks_for_the_password_leads_to_the_sign_in_page(api, given, kept):
    assert leads_to(api.get("/sign-in/again", {"next": given}, secure=True)) == f"/sign-in?next={kept}"


@pytest.mark.parametrize(
    ("given", "kept"),
    [("http://testserver/a", "http://testserver/a"), ("http://evil.test/", "")],
    ids=["its own page", "another site"],
)
def test_a_site_without_https_leads_to_its_own_pages(rf, settings, given, kept):
    settings.ORIGIN = "http://testserver"
    view = OwnSite()
    view.request = rf.get("/sign-in", {"next": given})
    assert view.get_redirect_url() == kept
