"""The pages in a project that has only `accounts.urls`, Django's default settings, and none of our names."""

from typing import Any

import pytest
from django.test import Client
from django.urls import include, path

from accounts.links import Purpose, url
from tests.factories import PASSWORD, AdminFactory, UserFactory, link_token

urlpatterns = [path("", include("accounts.urls"))]
PUBLIC = (
    "/sign-in", "/signed-out", "/register", "/mail-sent", "/email/confirm", "/email/confirmed", "/password/changed",
    "/password/reset", "/password/reset/confirm", "/password/reset/done", "/alarm", "/account/deleted",
)  # fmt: skip
REQUIRED = "django.contrib.auth.middleware.LoginRequiredMiddleware"
pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__), pytest.mark.at_length_on("sqlite")]


@pytest.fixture(autouse=True)
def _defaults(settings: Any) -> None:
    """Django's defaults of the settings that lead to pages. With ours, the pages would lead to names of ours."""
    settings.LOGIN_URL = "/accounts/login/"
    settings.LOGIN_REDIRECT_URL = "/accounts/profile/"
    settings.LOGOUT_REDIRECT_URL = None


@pytest.mark.parametrize("page", PUBLIC)
def test_a_page_for_anybody_answers_also_where_all_views_require_a_sign_in(page, client, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, REQUIRED]
    assert client.get(page).status_code == 200


def test_a_user_signs_in_sees_the_devices_and_signs_out(client):
    user = UserFactory()
    answer = client.get("/devices")
    assert (answer.status_code, answer["Location"]) == (302, "/sign-in?next=/devices")
    answer = client.post("/sign-in", {"username": user.email, "password": PASSWORD})
    assert (answer.status_code, answer["Location"]) == (302, "/devices")
    assert "/sign-out" in client.get("/devices").text
    answer = client.post("/sign-out")
    assert (answer.status_code, answer["Location"]) == (302, "/signed-out")
    assert client.get("/signed-out").status_code == 200


def test_the_devices_of_the_staff_show_no_link_to_an_admin_that_is_not_there(client):
    client.force_login(AdminFactory())
    answer = client.get("/devices")
    assert (answer.status_code, "admin" in answer.text) == (200, False)


def test_the_link_this_was_not_me_leads_to_a_page_that_ends_all_sessions(client):
    user = UserFactory()
    client.force_login(user)
    reader = Client()
    page = reader.get(url(Purpose.ALARM, link_token(Purpose.ALARM, user)), follow=True)
    assert page.status_code == 200
    token = page.context["form"].initial["token"]
    assert reader.post("/alarm", {"token": token}).status_code == 200
    assert client.get("/devices").status_code == 302


def test_all_other_devices_are_signed_out_where_there_are_no_messages(client, settings):
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "messages" not in name]
    settings.INSTALLED_APPS = [name for name in settings.INSTALLED_APPS if name != "django.contrib.messages"]
    client.force_login(UserFactory())
    answer = client.post("/sessions/end-others")
    assert (answer.status_code, answer["Location"]) == (302, "/devices")


def test_a_page_of_the_project_at_djangos_default_is_used(client, settings):
    settings.LOGIN_URL = settings.LOGIN_REDIRECT_URL = "/mail-sent"  # Any page that exists.
    assert client.get("/devices")["Location"] == "/mail-sent?next=/devices"
    answer = client.post("/sign-in", {"username": UserFactory().email, "password": PASSWORD})
    assert answer["Location"] == "/mail-sent"
