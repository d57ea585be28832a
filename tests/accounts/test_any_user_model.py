"""Projects with other user models: with Django's own, without an e-mail address, and with further required fields.

Each runs in a process of its own, because the user model of a process cannot change.
"""

import re
from pathlib import Path

import pytest

from tests.accounts.people.process import in_project

pytestmark = pytest.mark.long  # It starts five processes.

ROOT = Path(__file__).parents[2]


class TestDjangosOwnModel:
    def test_has_no_table_of_ours_beside_it_and_no_migration_to_make(self):
        found = in_project(
            "auth.User",
            """
            tables = connection.introspection.table_names()
            call_command("makemigrations", check=True, dry_run=True, verbosity=0)
            result = [sorted(t for t in tables if t.startswith("accounts")), "auth_user" in tables, command("check")]
            """,
        )
        ours = ["accounts_canonicaladdress", "accounts_pendingchange", "accounts_registration"]
        assert found == [ours, True, "System check identified no issues (0 silenced).\n"]

    def test_with_addresses_that_are_shared_is_reported_and_each_user_is_listed(self):
        first, second, check, listed = in_project(
            "auth.User",
            """
            for name, email in [("ada", "ada@example.org"), ("eve", "ADA@example.org"), ("bob", "bob@example.org")]:
                User.objects.create_user(name, email, PASSWORD)
            sent = [post("password/reset", {"email": "ada@example.org"}).status_code, len(mail.outbox)]
            post("register", {"username": "new", "email": "Ada@Example.org", "password": PASSWORD})
            [message] = mail.outbox
            result = [sent, [message.to, "already has an account" in message.body],
                command("check", databases=["default"]), command("canonical_addresses")]
            """,
        )
        assert first == [202, 0], "An address that several users share resets nobody."
        assert second == [["ada@example.org"], True]
        assert "accounts.W002" in check
        assert "(1 such)" in check
        assert [line.split()[:2] for line in listed.splitlines()] == [
            ["ada@example.org"],
            ["1", "ada@example.org"],
            ["2", "ADA@example.org"],
            ["1", "shared"],  # The last line: how many shared addresses there are.
        ]


@pytest.fixture(scope="module")
def without_address():
    """What happens in a project whose users have no e-mail address. A process for each test would take long."""
    return in_project(
        "people.Reader",
        """
        user = User.objects.create_user("ada", PASSWORD)
        def answered(path, data=None):
            return client.get(path).status_code if data is None else client.post(path, data).status_code
        by_api = post("login", {"email": "ada", "password": PASSWORD})
        me = client.get("/api/auth/me")
        home = client.get("/")
        client = Client()
        form = client.get("/sign-in").content.decode()
        by_page = client.post("/sign-in", {"username": "ada", "password": PASSWORD})
        changed = client.post("/password/change", {
            "current_password": PASSWORD, "password1": "another long passphrase",
            "password2": "another long passphrase",
        })
        post("login", {"email": "ada", "password": "another long passphrase"})
        api = {name: post(name, {"email": "a@example.org", "password": PASSWORD, "token": "x"}).json()["code"]
            for name in ("register", "password/reset", "password/reset/confirm", "email/confirm", "email/change")}
        pages = [client.get(path).status_code for path in
            ("/register", "/password/reset", "/password/reset/confirm", "/email/confirm", "/email/change")]
        deleted = client.delete("/api/auth/me", {"current_password": "another long passphrase"},
            content_type="application/json")
        result = {
            "signed in": [by_api.status_code, by_page.status_code, me.status_code, me.json()["user"]["email"]],
            "home": [home.status_code, "signed in as ada" in home.content.decode(), "email/change" in
                home.content.decode()],
            "offers": ["/register" in form, "/password/reset" in form, 'type="email"' in form],
            "changed": changed.status_code, "api": api, "pages": pages, "deleted": deleted.status_code,
            "mails": len(mail.outbox), "checks": command("check"),
        }
        """,
    )


@pytest.fixture(scope="module")
def with_more_fields():
    """What happens in a project whose users have required fields that registration does not ask for."""
    return in_project(
        "people.Member",
        """
        given = {"username": "ada", "email": "ada@example.org", "password": PASSWORD}
        form = client.get("/sign-in").content.decode()
        result = [post("register", given).status_code, client.get("/register").status_code,
            len(mail.outbox), "/register" in form, "/password/reset" in form, command("check")]
        """,
    )


def test_a_column_that_a_migration_has_yet_to_add_does_not_keep_migrate_from_running():
    found = in_project(
        "auth.User",
        """
        connection.cursor().execute("ALTER TABLE auth_user RENAME COLUMN email TO address")
        result = command("check", databases=["default"])
        connection.cursor().execute("ALTER TABLE auth_user RENAME COLUMN address TO email")
        """,
    )
    assert found == "System check identified no issues (0 silenced).\n"


class TestAModelWithoutAnAddress:
    def test_signs_in_and_shows_who_is_signed_in(self, without_address):
        assert without_address["signed in"] == [200, 302, 200, None]
        assert without_address["home"] == [200, True, False]

    def test_changes_a_password_and_deletes_the_account_without_a_mail(self, without_address):
        assert (without_address["changed"], without_address["deleted"], without_address["mails"]) == (302, 204, 0)

    def test_offers_nothing_that_needs_mail(self, without_address):
        assert set(without_address["api"].values()) == {"not_found"}
        assert set(without_address["pages"]) == {404}
        assert without_address["offers"] == [False, False, False]

    def test_is_named_by_a_check_with_what_needs_mail(self, without_address):
        assert "accounts.W004" in without_address["checks"]
        assert "people.Reader has no e-mail field" in without_address["checks"]


class TestAModelWithFurtherRequiredFields:
    def test_registers_nobody(self, with_more_fields):
        assert with_more_fields[:5] == [404, 404, 0, False, True]

    def test_is_named_by_a_check_with_the_fields(self, with_more_fields):
        assert "accounts.W003" in with_more_fields[5]
        assert (
            "people.Member requires fields that the registration does not ask for: club, birthday."
            in with_more_fields[5]
        )


def test_a_model_whose_user_name_is_the_address_registers_signs_in_and_resets_in_any_case():
    checks, fields, registered, signed_in, reset = in_project(
        "people.Subscriber",
        """
        def token_in(message):
            return message.body.partition("?token=")[2].split()[0]
        given = {"email": "Ada@Example.org", "password": PASSWORD}
        missing = post("register", {}).json()["errors"]
        registered = [post("register", given).status_code]
        registered.append(post("email/confirm", {"token": token_in(mail.outbox[-1]), "password": PASSWORD}).status_code)
        signed_in = [post("login", {"email": email, "password": PASSWORD}).status_code
            for email in ("ada@example.org", "ADA@example.org", "ada@example.com")]
        signed_in.append(client.get("/api/auth/me").json()["user"]["email"])
        post("register", given)
        again = "already has an account" in mail.outbox[-1].body
        post("password/reset", {"email": "ADA@EXAMPLE.ORG"})
        changed = {"token": token_in(mail.outbox[-1]), "password": "another long passphrase"}
        reset = [again, mail.outbox[-1].to, post("password/reset/confirm", changed).status_code]
        result = [command("check", databases=["default"]), sorted(missing), registered, signed_in, reset]
        """,
    )
    assert checks == "System check identified no issues (0 silenced).\n"
    assert (fields, registered) == (["email", "password"], [202, 204])
    assert signed_in == [200, 200, 401, "ada@example.org"]
    assert reset == [True, ["ada@example.org"], 204]


def test_only_the_module_of_our_own_model_names_it():
    naming = re.compile(r"from accounts\.models import [^\n]*\bUser\b|accounts\.models\.User\b(?!`)")
    files = [path for path in (ROOT / "accounts").rglob("*.py") if path.name != "models.py"]
    assert len(files) > 30
    assert not [path for path in files if naming.search(path.read_text())]


def test_a_model_whose_fields_have_the_names_of_our_tables_does_not_clash():
    checks, status, email, link = in_project(
        "people.Collector",
        """
        asked = post("register", {"handle": "ada", "email": "ada@example.org", "password": PASSWORD})
        token = mail.outbox[0].body.partition("?token=")[2].split()[0]
        confirmed = post("email/confirm", {"token": token, "password": PASSWORD})
        signed_in = post("login", {"email": "ADA@example.org", "password": PASSWORD}).json()
        post("password/reset", {"email": "ada@example.org"})
        result = [command("check"), [asked.status_code, confirmed.status_code], signed_in["user"]["email"],
            [mail.outbox[-1].to, "?token=" in mail.outbox[-1].body]]
        """,
    )
    assert checks == "System check identified no issues (0 silenced).\n"
    assert (status, email, link) == ([202, 204], "ada@example.org", [["ada@example.org"], True])
