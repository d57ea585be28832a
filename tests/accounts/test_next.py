"""Where ``?next=`` leads: to a page of our own site, wherever it is taken."""

from typing import Any

import pytest
from django.test import Client

from accounts.views import OwnSite
from tests.factories import PASSWORD

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

OURS = ["/admin/", "/?a=1", "/account/delete#here", "https://testserver/admin/"]
NOT_OURS = {
    "https://evil.test/": "another host",
    "//evil.test": "another host, by our scheme",
    "///evil.test": "browsers drop a slash",
    "////evil.test": "or two",
    "/\\evil.test": "browsers turn it round",
    "\\\\evil.test": "both of them",
    "https:evil.test": "browsers add the slashes",
    "https:/evil.test": "or one",
    "http://testserver/": "our host, for everybody on the way to read",
    "http:///testserver": "no host at all",
    "//testserver@evil.test/": "our host is the name of a user",
    "https://testserver:443@evil.test/": "with a password",
    "https://somebody@testserver/": "a user of ours is not us",
    "https://testserver:8443/": "another port",
    "https://testserver.evil.test/": "ours is only how it begins",
    "https://eviltestserver/": "or how it ends",
    "javascript:alert(1)": "no page",
    "java\tscript:alert(1)": "browsers drop the tab",
    "data:text/html,x": "no page of ours",
    "/\t/evil.test": "browsers drop the tab",
    "/\n/evil.test": "and the line's end",
    "\x08//evil.test": "and what is no character",
    " //evil.test": "and the space",
    "": "nowhere",
}


def sign_in(client: Client, user: Any, next: str) -> Any:
    return client.post("/sign-in", {"username": user.email, "password": PASSWORD, "next": next}, secure=True)


def sign_in_by_address(client: Client, user: Any, next: str) -> Any:
    given = {"username": user.email, "password": PASSWORD}
    return client.post("/sign-in", given, query_params={"next": next}, secure=True)


def open_the_form(client: Client, user: Any, next: str) -> Any:
    sign_in(client, user, "")
    return client.get("/sign-in", {"next": next}, secure=True)


def sign_in_again(client: Client, user: Any, next: str) -> Any:
    sign_in(client, user, "")
    return client.post("/sign-in/again", {"current_password": PASSWORD, "next": next}, secure=True)


WAYS = pytest.mark.parametrize("way", [sign_in, sign_in_by_address, open_the_form, sign_in_again])


@WAYS
@pytest.mark.parametrize("next", OURS)
def test_a_page_of_ours_is_gone_on_to(api, user, way, next):
    response = way(api, user, next)
    assert (response.status_code, response["Location"]) == (302, next)


@WAYS
@pytest.mark.parametrize("next", NOT_OURS, ids=NOT_OURS.values())
def test_a_page_of_somebody_elses_is_not(api, user, way, next):
    response = way(api, user, next)
    assert (response.status_code, response["Location"]) == (302, "/")


@pytest.mark.parametrize("next", NOT_OURS, ids=NOT_OURS.values())
def test_signing_out_leads_nowhere_else_either(api, user, next):
    sign_in(api, user, "")
    assert api.post("/sign-out", {"next": next}, secure=True)["Location"] == "/signed-out"


@pytest.mark.parametrize("next", NOT_OURS, ids=NOT_OURS.values())
def test_a_form_does_not_hold_what_it_would_not_go_on_to(api, user, next):
    assert api.get("/sign-in", {"next": next}, secure=True).context["next"] == ""
    sign_in(api, user, "")
    assert api.get("/sign-in/again", {"next": next}, secure=True).context["next"] == ""


def test_a_stranger_who_is_to_give_the_password_again_signs_in_instead(api):
    response = api.get("/sign-in/again", {"next": "/account/delete"}, secure=True)
    assert response["Location"] == "/sign-in?next=/account/delete"
    response = api.get("/sign-in/again", {"next": "https://evil.test/"}, secure=True)
    assert response["Location"] == "/sign-in?next=/"


@pytest.mark.parametrize(
    ("next", "goes_to"), [("http://testserver/a", "http://testserver/a"), ("http://evil.test/", "")]
)
def test_a_site_without_https_leads_on_to_itself(rf, settings, next, goes_to):
    settings.ORIGIN = "http://testserver"
    view = OwnSite()
    view.request = rf.get("/sign-in", {"next": next} if next else {})
    assert view.get_redirect_url() == goes_to
