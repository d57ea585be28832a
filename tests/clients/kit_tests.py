"""Tests of a project with each kind of Django's test cases. `test_first_test` runs them in a project."""

from http.cookiejar import CookieJar
from urllib.request import HTTPCookieProcessor, Request, build_opener

from django.contrib.auth import get_user_model
from django.test import AsyncClient, LiveServerTestCase, TestCase, TransactionTestCase, override_settings
from rest_framework.test import APIClient, APITestCase

from tokens.models import RefreshToken
from tokens.testing import OverHttp, asign_in, create_user, expire_access_token, open_session, revoke, sign_in

ME = "/api/auth/me"


class ClassUserTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.user = create_user()

    def test_a_user_of_the_class_signs_in(self):
        sign_in(self.client, self.user)
        self.assertEqual(self.client.get(ME).status_code, 200)
        self.assertEqual(RefreshToken.objects.count(), 1)

    def test_a_user_of_the_class_signs_in_once_more(self):
        self.assertEqual(RefreshToken.objects.count(), 0)
        sign_in(self.client, self.user)
        expire_access_token(self.client)
        self.assertEqual(self.client.get(ME).status_code, 200)

    async def test_an_async_test_signs_in(self):
        client = AsyncClient()
        await asign_in(client, self.user)
        self.assertEqual((await client.get(ME)).status_code, 200)


class CommittingTests(TransactionTestCase):
    def test_a_test_that_commits_revokes(self):
        sign_in(self.client, create_user())
        self.assertEqual(self.client.get(ME).status_code, 200)
        revoke(self.client)
        self.assertEqual(self.client.get(ME).status_code, 401)


class ApiTests(APITestCase):
    @override_settings(TOKENS={"MODES": ["body"]})
    def test_a_client_with_a_bearer_token(self):
        client = APIClient()
        sign_in(client, create_user(), mode="body")
        self.assertEqual(client.get(ME).status_code, 200)
        client.credentials()
        self.assertEqual(client.get(ME).status_code, 401)


@override_settings(ORIGIN="https://your.site", SESSION_COOKIE_SECURE=True, SECURE_SSL_REDIRECT=True)
class LiveTests(OverHttp, LiveServerTestCase):
    """With the settings of production, the live server still serves over http."""

    def test_a_live_server_knows_a_browser_that_is_signed_in(self):
        user = create_user()
        self.assertEqual(get_user_model().objects.get(), user)
        cookies = "; ".join(f"{name}={found.value}" for name, found in open_session(user).cookies.items())
        opener = build_opener(HTTPCookieProcessor(CookieJar()))
        with opener.open(Request(f"{self.live_server_url}{ME}", headers={"Cookie": cookies})) as response:  # noqa: S310
            self.assertEqual(response.status, 200)
        self.assertIn("refresh=", cookies)
        self.assertNotIn("__Host-", cookies)
