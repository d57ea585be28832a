"""``examples/next``: how the shop and Latchkey share a PostgreSQL, and the containers of its production."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from tests.clients.projects import ROOT, SECRET_KEY, clean_environment
from tests.docs.blocks import Block, blocks
from tests.postgresql import start_server

EXAMPLE = ROOT / "examples" / "next"
COMPOSE: dict[str, Any] = yaml.safe_load((EXAMPLE / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
SQL = blocks("examples/next/README.md", "sql")


def runs_blocks() -> list[Block]:
    return SQL


def sql(name: str) -> str:
    return (EXAMPLE / "database" / name).read_text()


class Shared:
    """A PostgreSQL with both schemas."""

    def __init__(self, admin: str) -> None:
        self.admin = admin

    def url(self, role: str) -> str:
        return self.admin.replace("postgres:@", f"{role}@")

    def run(self, role: str, statement: str) -> list[Any]:
        with psycopg.connect(self.url(role), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="module")
def shared() -> Iterator[Shared]:
    """The database of the example, after its own steps: the roles, then each application's migrations."""
    admin, server = start_server()
    try:
        found = Shared(admin)
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(sql("roles.sql"))
        manage = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
        env = clean_environment(DATABASE_URL=found.url("latchkey"), DEBUG="true", SECRET_KEY=SECRET_KEY)
        subprocess.run(manage, cwd=ROOT, env=env, check=True)
        found.run("shop", sql("001_orders.sql"))
        yield found
    finally:
        server.cleanup()


@pytest.mark.long
def test_each_role_owns_the_tables_of_its_schema_and_can_read_no_others(shared):
    owners = shared.run(
        "shop", "SELECT DISTINCT schemaname, tableowner FROM pg_tables WHERE schemaname !~ '^(pg_|information)'"
    )
    assert {*owners} == {("latchkey", "latchkey"), ("shop", "shop")}
    for role, table in (("shop", "latchkey.accounts_user"), ("latchkey", "shop.orders")):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            shared.run(role, f"SELECT * FROM {table}")  # noqa: S608
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            shared.run(role, "CREATE TABLE public.x ()")


@pytest.mark.long
def test_with_the_foreign_key_of_the_readme_an_account_can_still_be_deleted(shared):
    granted, altered = SQL
    shared.run("latchkey", granted.text)
    shared.run("shop", altered.text)
    found = shared.run(
        "latchkey",
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'accounts_user' "
        "AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'",
    )
    values = {"id": "gen_random_uuid()", "email": "'a@b.test'", "password": "''"}
    names = [name for (name,) in found]
    given = ", ".join(values.get(name, "now()" if name.endswith(("_at", "joined")) else "false") for name in names)
    ((user,),) = shared.run("latchkey", f"INSERT INTO accounts_user ({', '.join(names)}) VALUES ({given}) RETURNING id")  # noqa: S608
    shared.run("shop", f"INSERT INTO orders (user_id, article) VALUES ('{user}', 'a key')")  # noqa: S608
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        shared.run("shop", "SELECT id FROM latchkey.accounts_user")
    shared.run("latchkey", f"DELETE FROM accounts_user WHERE id = '{user}'")  # noqa: S608
    assert shared.run("shop", "SELECT user_id, article FROM orders") == [(None, "a key")]


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_can_do_only_what_it_needs(name):
    service = SERVICES[name]
    expected = {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}
    assert service.items() >= expected.items()
    assert name == "nginx" or "cap_add" not in service
    assert name == "nginx" or "build" in service or service["user"] in {"postgres", "redis"}


def test_only_nginx_can_be_reached_and_the_database_has_no_way_out():
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["nginx"]
    assert COMPOSE["networks"]["private"]["internal"] is True
    assert {*SERVICES["postgres"]["networks"]} == {*SERVICES["redis"]["networks"]} == {"private"}


def test_latchkey_trusts_the_addresses_of_nginx_and_next_js():
    addresses = [SERVICES[name]["networks"]["public"]["ipv4_address"] for name in ("nginx", "shop")]
    assert SERVICES["latchkey"]["environment"]["TRUSTED_PROXIES"] == ",".join(addresses)
    assert addresses[1] in (EXAMPLE / "nginx.conf.template").read_text()


def test_each_application_has_the_password_of_its_own_role_and_no_other():
    for name, service in SERVICES.items():
        roles = [*re.findall(r"//(\w+):\$\{(\w+)_PASSWORD", service.get("environment", {}).get("DATABASE_URL", ""))]
        expected = {"latchkey": "LATCHKEY", "shop": "SHOP"}.get(name.removesuffix("-migrate"))
        assert roles == ([(expected.lower(), expected)] if expected else [])


def test_every_file_that_the_containers_name_is_there():
    for service in SERVICES.values():
        if "build" in service:
            assert (EXAMPLE / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
        for volume in service.get("volumes", []):
            if volume.startswith("./"):
                assert (EXAMPLE / volume.partition(":")[0]).is_file()
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", (EXAMPLE / "Dockerfile").read_text(), re.MULTILINE)
    assert [path for line in copied for path in line.split() if not os.path.exists(Path(ROOT, path))] == []


def test_the_comment_names_every_variable():
    text = (EXAMPLE / "compose.yaml").read_text()
    comment = text.partition("\nname:")[0]
    assert [name for name in {*re.findall(r"\$\{(\w+):\?\}", text)} if not re.search(rf"\b{name}\b", comment)] == []
