"""The project's own tests. They pass before Latchkey is added, and after."""

from django.contrib.auth import get_user, get_user_model
from django.contrib.auth.models import AnonymousUser, Permission
from django.test import TestCase, override_settings
from rest_framework.test import APIClient, APIRequestFactory, force_authenticate

from shop import api
from shop.models import Product

PASSWORD = "correct horse battery staple"
NEW = "quite another passphrase"


def make_user(name, **fields):
    model = get_user_model()
    login = {model.USERNAME_FIELD: name if model.USERNAME_FIELD == "username" else f"{name}@example.org"}
    user = model.objects.create_user(**login, password=PASSWORD)
    for field, value in fields.items():
        setattr(user, field, value)
    user.save()
    return user


def permission(codename):
    return Permission.objects.get(content_type__app_label="shop", codename=codename)


class PagesTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.user = make_user("ada")
        cls.login = {"username": cls.user.get_username(), "password": PASSWORD}

    def test_stranger_is_sent_to_login_and_back(self):
        response = self.client.get("/members")
        self.assertRedirects(response, "/auth/login/?next=/members")
        response = self.client.post("/auth/login/?next=/members", self.login)
        self.assertRedirects(response, "/members")
        self.assertContains(self.client.get("/members"), f"members: {self.user.get_username()}")

    def test_stranger_is_anonymous_user(self):
        response = self.client.get("/")
        self.assertContains(response, "a stranger")
        self.assertIsInstance(response.context["user"], AnonymousUser)
        self.assertIsNone(response.wsgi_request.user.pk)
        self.assertEqual(response.wsgi_request.user, AnonymousUser())

    def test_client_login(self):
        self.assertTrue(self.client.login(**self.login))
        self.assertContains(self.client.get("/members"), "members")
        self.client.logout()
        self.assertEqual(self.client.get("/members").status_code, 302)

    def test_client_login_with_wrong_password(self):
        self.assertFalse(self.client.login(**{**self.login, "password": "wrong"}))
        self.assertEqual(self.client.get("/members").status_code, 302)

    def test_force_login(self):
        self.client.force_login(self.user)
        for _ in range(2):
            self.assertContains(self.client.get("/members"), "members")

    def test_force_login_as_one_after_the_other(self):
        self.client.force_login(self.user)
        self.client.get("/")
        other = make_user("grace")
        self.client.force_login(other)
        self.assertEqual(self.client.get("/").context["user"], other)

    def test_first_request_may_be_a_post(self):
        self.client.force_login(self.user)
        response = self.client.post("/greet", {"name": "Ada"}, follow=True)
        self.assertContains(response, "Hello, Ada.")
        self.assertContains(response, "signed in as")

    def test_get_user_of_the_test_client(self):
        self.client.force_login(self.user)
        self.assertEqual(get_user(self.client), self.user)

    def test_request_user_is_the_user(self):
        self.client.force_login(self.user)
        self.client.get("/who")
        user = self.client.get("/who").wsgi_request.user
        self.assertEqual(user, self.user)
        self.assertEqual(self.user, user)
        self.assertEqual(hash(user), hash(self.user))
        self.assertIsInstance(user, get_user_model())
        self.assertIn(user, [self.user])
        self.assertEqual(str(user), str(self.user))
        product = Product.objects.create(name="lamp", owner=user)
        self.assertEqual(list(Product.objects.filter(owner=user)), [product])
        self.assertEqual(list(Product.objects.filter(owner_id=user.pk)), [product])
        self.assertEqual(list(Product.objects.filter(owner__in=[user])), [product])

    def test_request_user_as_the_first_thing_a_query_sees(self):
        Product.objects.create(name="lamp", owner=self.user)
        self.client.force_login(self.user)
        self.client.get("/who")
        self.assertTrue(Product.objects.filter(owner=self.client.get("/who").wsgi_request.user).exists())
        self.assertEqual(Product(owner=self.client.get("/who").wsgi_request.user).owner_id, self.user.pk)
        self.assertEqual(self.client.get("/who").wsgi_request.user.id, self.user.id)

    def test_user_in_templates(self):
        self.client.force_login(self.user)
        self.assertContains(self.client.get("/"), f"signed in as {self.user.get_username()}")
        self.assertNotContains(self.client.get("/"), "may add")
        self.user.user_permissions.add(permission("add_product"))
        response = self.client.get("/")
        self.assertContains(response, "may add products")
        self.assertContains(response, "may do something in the shop")

    def test_messages(self):
        for sign_in in (False, True):
            if sign_in:
                self.client.force_login(self.user)
            self.client.post("/greet", {"name": "Ada"})
            self.assertContains(self.client.get("/"), "Hello, Ada.")
            self.assertNotContains(self.client.get("/"), "Hello, Ada.")

    def test_session_data_of_a_stranger_is_there_after_login(self):
        session = self.client.session
        session["cart"] = [1, 2]
        session.save()
        self.client.post("/auth/login/", self.login)
        self.assertEqual(self.client.session["cart"], [1, 2])

    def test_logout_view(self):
        self.client.post("/auth/login/", self.login)
        self.client.post("/auth/logout/")
        self.assertContains(self.client.get("/"), "a stranger")

    def test_password_change_view(self):
        self.client.post("/auth/login/", self.login)
        fields = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
        self.assertRedirects(self.client.post("/auth/password_change/", fields), "/auth/password_change/done/")
        self.assertContains(self.client.get("/members"), "members")
        self.user.refresh_from_db()
        self.assertTrue(self.user.check_password(NEW))

    def test_deleted_user_is_a_stranger(self):
        self.client.force_login(self.user)
        self.client.get("/")
        get_user_model().objects.get(pk=self.user.pk).delete()
        self.assertContains(self.client.get("/"), "a stranger")

    def test_csrf_is_checked(self):
        client = self.client_class(enforce_csrf_checks=True)
        client.force_login(self.user)
        self.assertEqual(client.post("/greet", {"name": "Ada"}).status_code, 403)

    def test_error_in_a_view(self):
        self.client.force_login(self.user)
        self.client.raise_request_exception = False
        with self.assertLogs("django.request", "ERROR"):
            self.assertEqual(self.client.get("/fails").status_code, 500)
        self.assertContains(self.client.get("/members"), "members")

    @override_settings(DEBUG=True)
    def test_with_debug(self):
        self.client.force_login(self.user)
        self.assertContains(self.client.get("/members"), "members")

    def test_secure_request(self):
        self.client.force_login(self.user)
        self.assertContains(self.client.get("/members", secure=True), "members")
        self.assertContains(self.client.get("/members", secure=True), "members")


class AsyncPagesTests(TestCase):
    async def test_force_login(self):
        user = await get_user_model().objects.acreate(**{get_user_model().USERNAME_FIELD: "ada@example.org"})
        await self.async_client.aforce_login(user)
        for _ in range(2):
            self.assertContains(await self.async_client.get("/members"), "members")


class AllauthTests(TestCase):
    def test_signup_login_logout(self):
        fields = {"username": "ada", "email": "ada@example.org", "password1": PASSWORD, "password2": PASSWORD}
        self.assertRedirects(self.client.post("/accounts/signup/", fields), "/")
        self.assertContains(self.client.get("/members"), "members: ada")
        self.client.post("/accounts/logout/")
        self.assertEqual(self.client.get("/members").status_code, 302)
        name = "ada" if get_user_model().USERNAME_FIELD == "username" else "ada@example.org"
        self.assertRedirects(self.client.post("/accounts/login/", {"login": name, "password": PASSWORD}), "/")
        self.assertContains(self.client.get("/members"), "members: ada")

    def test_password_change(self):
        self.client.force_login(make_user("ada"))
        fields = {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW}
        self.assertEqual(self.client.post("/accounts/password/change/", fields).status_code, 302)
        self.assertContains(self.client.get("/members"), "members: ada")


class AdminTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.staff = make_user("root", is_staff=True, is_superuser=True)

    def test_login_page_and_index(self):
        self.assertRedirects(self.client.get("/admin/"), "/admin/login/?next=/admin/")
        fields = {"username": self.staff.get_username(), "password": PASSWORD, "next": "/admin/"}
        self.assertRedirects(self.client.post("/admin/login/?next=/admin/", fields), "/admin/")

    def test_pages_and_actions(self):
        self.client.force_login(self.staff)
        products = [Product.objects.create(name=name) for name in ("lamp", "desk")]
        self.assertContains(self.client.get("/admin/shop/product/"), "lamp")
        self.assertEqual(self.client.post("/admin/shop/product/add/", {"name": "chair"}).status_code, 302)
        user_model = get_user_model()._meta
        path = f"/admin/{user_model.app_label}/{user_model.model_name}/{self.staff.pk}/change/"
        self.assertContains(self.client.get(path), "root")
        action = {"action": "delete_selected", "_selected_action": [p.pk for p in products], "post": "yes"}
        response = self.client.post("/admin/shop/product/", action, follow=True)
        self.assertContains(response, "Successfully deleted 2 products.")
        self.assertEqual(self.client.post("/admin/logout/").status_code, 200)
        self.assertEqual(self.client.get("/admin/").status_code, 302)

    def test_user_without_staff_status(self):
        self.client.force_login(make_user("ada"))
        self.assertEqual(self.client.get("/admin/").status_code, 302)

    def test_user_can_be_deleted(self):
        user = make_user("ada")
        self.client_class().force_login(user)
        other = self.client_class()
        other.force_login(user)
        other.get("/")
        self.client.force_login(self.staff)
        model = get_user_model()._meta
        path = f"/admin/{model.app_label}/{model.model_name}/{user.pk}/delete/"
        self.assertEqual(self.client.post(path, {"post": "yes"}).status_code, 302)
        self.assertFalse(get_user_model().objects.filter(pk=user.pk).exists())


class ApiTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.user = make_user("ada")

    def setUp(self):
        from django.core.cache import cache

        cache.clear()
        self.client = APIClient()

    def test_stranger(self):
        self.assertIn(self.client.get("/api/me").status_code, (401, 403))

    def test_is_authenticated(self):
        self.client.force_login(self.user)
        self.assertEqual(self.client.get("/api/me").json(), {"name": self.user.get_username()})
        self.assertEqual(self.client.post("/api/me").status_code, 200)

    def test_force_authenticate(self):
        self.client.force_authenticate(self.user)
        self.assertEqual(self.client.get("/api/me").json(), {"name": self.user.get_username()})

    def test_view_called_by_request_factory(self):
        request = APIRequestFactory().get("/api/me")
        self.assertIn(api.me(request).status_code, (401, 403))
        request = APIRequestFactory().get("/api/me")
        force_authenticate(request, self.user)
        self.assertEqual(api.me(request).status_code, 200)

    def test_is_admin_user(self):
        self.client.force_login(self.user)
        self.assertEqual(self.client.get("/api/staff").status_code, 403)
        self.user.is_staff = True
        self.user.save()
        self.assertEqual(self.client.get("/api/staff").status_code, 200)

    def test_django_model_permissions(self):
        self.client.force_login(self.user)
        self.assertEqual(self.client.get("/api/products/").status_code, 200)
        self.assertEqual(self.client.post("/api/products/", {"name": "lamp"}).status_code, 403)
        self.user.user_permissions.add(permission("add_product"))
        response = self.client.post("/api/products/", {"name": "lamp"})
        self.assertEqual(response.status_code, 201)
        self.assertEqual(Product.objects.get().owner, self.user)
        self.assertEqual(self.client.post("/api/products/", {}).status_code, 400)
        self.assertEqual(self.client.delete(f"/api/products/{response.json()['id']}/").status_code, 403)
        self.assertEqual(self.client.get("/api/products/0/").status_code, 404)
        self.assertEqual(self.client.get("/api/nothing").status_code, 404)

    def test_throttle_counts_each_user(self):
        self.client.force_login(self.user)
        answers = [self.client.get("/api/scarce") for _ in range(4)]
        self.assertEqual([answer.status_code for answer in answers], [200, 200, 200, 429])
        self.assertIn("Retry-After", answers[-1].headers)
        other = APIClient()
        other.force_login(make_user("grace"))
        self.assertEqual(other.get("/api/scarce").status_code, 200)

    def test_browsable_api_for_a_stranger(self):
        answer = self.client.get("/api/products/", headers={"Accept": "text/html"})
        self.assertIn(answer.status_code, (401, 403))
        self.assertEqual(answer.headers["Content-Type"], "text/html; charset=utf-8")

    def test_browsable_api(self):
        self.client.force_login(self.user)
        self.assertContains(self.client.get("/api/products/", headers={"Accept": "text/html"}), "Django REST framework")
