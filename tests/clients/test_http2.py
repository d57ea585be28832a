"""HTTP/2: the cookies of a request in one header, or each in one of its own, as browsers send them."""

import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.clients.projects import clean_environment
from tests.clients.serving import granian
from tests.documents import ROOT

pytestmark = pytest.mark.long

EMAIL, PASSWORD = "user@example.org", "a password that is long enough"
SET_UP = f"""
import django
django.setup()
from django.contrib.auth import get_user_model
from django.core.management import call_command
call_command("migrate", verbosity=0)
get_user_model().objects.create_user({EMAIL!r}, {PASSWORD!r})
"""


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a server, with a database that has one user."""
    folder = tmp_path_factory.mktemp("http2")
    found = clean_environment(
        DEBUG="true",
        SECRET_KEY="a secret for tests that is long enough to be taken for a real one",
        DATABASE_URL=f"sqlite:///{folder}/site.sqlite3",
        DJANGO_SETTINGS_MODULE="config.settings",
    )
    subprocess.run([sys.executable, "-c", SET_UP], cwd=ROOT, env=found, check=True)
    return found


@pytest.fixture(params=["asgi", "wsgi"])
def site(request: pytest.FixtureRequest, variables: dict[str, str]) -> Iterator[str]:
    """The address of granian with HTTP/2 only. It joins the headers for WSGI, and leaves them to the app for ASGI."""
    with granian(request.param, variables, "--http", "2") as address:
        yield address


def test_a_header_for_each_cookie_signs_the_user_in(site):
    with httpx.Client(http1=False, http2=True, base_url=site, timeout=60) as client:
        signed_in = client.post("/api/auth/login", json={"email": EMAIL, "password": PASSWORD})
        assert (signed_in.http_version, signed_in.status_code) == ("HTTP/2", 200)
        cookies = [f"{name}={value}" for name, value in client.cookies.items()]
        client.cookies.clear()
        for headers in (cookies, cookies[::-1], ["; ".join(cookies)]):
            answer = client.get("/api/auth/me", headers=[("cookie", text) for text in headers])
            assert (answer.status_code, answer.json()["user"]["email"]) == (200, EMAIL)
        assert client.get("/api/auth/me").status_code == 401
