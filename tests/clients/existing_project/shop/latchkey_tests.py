"""Tests that the project adds with Latchkey, of what only Latchkey does."""

from django.core.cache import cache
from django.db import connection
from django.test import TestCase, override_settings
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from shop.tests import PASSWORD, make_user
from tokens.models import RefreshToken


class LatchkeyTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.user = make_user("ada")

    def setUp(self):
        cache.clear()

    def body_mode(self):
        body = {"email": self.user.get_username(), "password": PASSWORD, "mode": "body"}
        tokens = self.client.post("/api/auth/login", body, content_type="application/json").json()
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens['access_token']}")
        return client

    def assertNothingAskedOfTheUser(self, queries):
        # A process asks for revocations once a second, and ATOMIC_REQUESTS begins and ends transactions.
        asked = [query["sql"] for query in queries if query["sql"].startswith("SELECT")]
        self.assertEqual([sql for sql in asked if "tokens_revocation" not in sql], [])

    def test_sign_in_of_a_test_is_a_session_with_cookies(self):
        self.client.force_login(self.user)
        response = self.client.get("/who")
        self.assertEqual(response.json(), {"pk": self.user.pk if isinstance(self.user.pk, int) else str(self.user.pk)})
        self.assertLessEqual({"access", "refresh"}, set(response.cookies))
        self.assertEqual(RefreshToken.objects.get().user, self.user)

    def test_request_user_pk_costs_no_query(self):
        self.client.force_login(self.user)
        self.client.get("/who")
        with CaptureQueriesContext(connection) as queries:
            self.client.get("/who")
        self.assertNothingAskedOfTheUser(queries)

    def test_throttled_view_costs_no_user_query(self):
        self.client.force_login(self.user)
        self.client.get("/who")
        with CaptureQueriesContext(connection) as queries:
            answer = self.client.get("/api/scarce")
        self.assertNothingAskedOfTheUser(queries)
        self.assertEqual(str(answer.json()["pk"]), str(self.user.pk))

    def test_sign_in_and_keys_need_no_session(self):
        self.assertEqual(self.client.get("/.well-known/jwks.json").status_code, 200)
        body = {"email": self.user.get_username(), "password": PASSWORD}
        answer = self.client.post("/api/auth/login", body, content_type="application/json")
        self.assertEqual(answer.status_code, 200)
        self.assertEqual(self.client.get("/api/auth/me").json()["user"]["id"], str(self.user.pk))
        self.assertEqual(self.client.post("/api/auth/logout", content_type="application/json").status_code, 204)

    def test_stranger_is_told_to_sign_in(self):
        answer = self.client.get("/api/me")
        self.assertEqual((answer.status_code, answer.json()["code"]), (401, "not_authenticated"))
        self.assertEqual(answer.headers["WWW-Authenticate"], "Bearer")

    def test_problems_of_the_project_s_own_views(self):
        self.client.force_login(self.user)
        for _ in range(3):
            self.client.get("/api/scarce")
        throttled = self.client.get("/api/scarce")
        self.assertEqual((throttled.status_code, throttled.json()["code"]), (429, "throttled"))
        self.assertGreater(int(throttled.headers["Retry-After"]), 3500)
        for answer in (self.client.get("/api/staff"), self.client.post("/api/products/", {"name": "lamp"})):
            self.assertEqual((answer.status_code, answer.json()["code"]), (403, "permission_denied"))

    @override_settings(TOKENS={"MODES": ["cookie", "body"]})
    def test_bearer_tokens(self):
        client = self.body_mode()
        self.assertEqual(client.get("/api/me").json(), {"name": self.user.get_username()})
        self.assertEqual(client.post("/api/me").status_code, 200)
        self.assertEqual([client.get("/api/scarce").status_code for _ in range(4)], [200, 200, 200, 429])
        client.credentials(HTTP_AUTHORIZATION="Bearer nonsense")
        answer = client.get("/api/me")
        self.assertEqual((answer.status_code, answer.json()["code"]), (401, "not_authenticated"))
        self.assertEqual(answer.headers["WWW-Authenticate"], 'Bearer error="invalid_token"')
