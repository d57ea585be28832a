"""The texts that people see: every one in every language, and which language somebody gets.

What is marked ``gettext`` needs GNU gettext, collects and compiles anew, and is run by ``.ci/run``.
"""

import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from gettext import GNUTranslations
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import translation

from tests.browsers import FIREFOX, login, refresh
from tokens import problems

ROOT = Path(__file__).parent.parent
APPS = ["accounts", "tokens"]
SOURCES = [*APPS, "config", "templates", "manage.py"]
PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[a-z]")
GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}

each_app = pytest.mark.parametrize("app", APPS)


@pytest.fixture(autouse=True)
def _english_afterwards() -> Iterator[None]:
    """A request leaves its language to whatever comes next in this thread, as Django does."""
    with translation.override("en"):
        yield


def catalogue(app: str, root: Path = ROOT) -> Path:
    return root / app / "locale" / "de" / "LC_MESSAGES" / "django.po"


def gettext(*command: Any) -> bytes:
    """Run one of gettext's programs. Where they are not installed this fails, and is meant to."""
    return subprocess.run([str(part) for part in command], check=True, capture_output=True).stdout


def shipped(app: str) -> dict[Any, str]:
    """What the compiled catalogue of an app holds."""
    with catalogue(app).with_suffix(".mo").open("rb") as file:
        return GNUTranslations(file)._catalog  # type: ignore[attr-defined, no-any-return]


def compiled(app: str) -> dict[Any, str]:
    """What the catalogue of an app holds, as the programs of today compile it."""
    binary = gettext("msgfmt", "--check", "--check-format", "--output-file=-", catalogue(app))
    return GNUTranslations(io.BytesIO(binary))._catalog  # type: ignore[attr-defined, no-any-return]


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which every text was collected anew."""
    copy = tmp_path_factory.mktemp("project")
    for name in SOURCES:
        source, target = ROOT / name, copy / name
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    command = [sys.executable, "manage.py", "makemessages", "--locale=de", "--no-location"]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"}
    subprocess.run(command, check=True, cwd=copy, env=environment, capture_output=True)
    return copy


@pytest.mark.gettext
@each_app
@pytest.mark.parametrize("missing", ["--untranslated", "--only-fuzzy", "--only-obsolete"])
def test_every_text_is_in_the_catalogue_translated_and_none_that_is_gone(collected, app, missing):
    assert gettext("msgattrib", missing, "--no-wrap", catalogue(app, collected)).decode() == ""


@pytest.mark.gettext
@each_app
def test_the_compiled_catalogue_is_the_catalogue(app):
    today = compiled(app)
    assert {key: text for key, text in shipped(app).items() if key} == {key: today[key] for key in today if key}


@each_app
def test_a_translation_has_the_placeholders_of_its_text(app):
    for key, text in shipped(app).items():
        if key:
            english = key[0] if isinstance(key, tuple) else key
            assert sorted(PLACEHOLDER.findall(text)) == sorted(PLACEHOLDER.findall(english)), english


def test_what_two_catalogues_have_in_common_they_say_alike():
    one, other = (shipped(app) for app in APPS)
    assert {key: one[key] for key in one.keys() & other.keys() if key} == {
        key: other[key] for key in one.keys() & other.keys() if key
    }


def test_every_problem_is_told_in_german():
    constants = [value for value in vars(problems).values() if isinstance(value, problems.Problem)]
    assert len(constants) > 10
    for problem in constants:
        assert problem.text == problem.detail
        with translation.override("de"):
            assert problem.text != problem.detail
            assert problem.as_json()["code"] == problem.code


@pytest.mark.parametrize(
    ("accepted", "language", "detail"),
    [
        ("de", "de", "Melden Sie sich zuerst an."),
        ("de-CH, en;q=0.5", "de", "Melden Sie sich zuerst an."),
        ("en-GB, de;q=0.5", "en", "Sign in first."),
        ("fr", "en", "Sign in first."),
        ("", "en", "Sign in first."),
        ("*", "en", "Sign in first."),
        ("x" * 10_000, "en", "Sign in first."),
    ],
    ids=lambda value: value[:20],
)
def test_a_problem_speaks_the_clients_language(api, accepted, language, detail):
    response = api.get("/api/auth/me", headers={"Accept-Language": accepted})
    assert (response.status_code, response["Content-Language"]) == (401, language)
    assert "Accept-Language" in response["Vary"]
    problem = response.json()
    assert (problem["code"], problem["title"], problem["detail"]) == ("not_authenticated", "Unauthorized", detail)


def test_one_clients_language_is_not_the_nexts(api):
    api.get("/api/auth/me", headers=GERMAN)
    assert api.get("/api/auth/me").json()["detail"] == "Sign in first."


@pytest.mark.django_db
def test_a_refused_refresh_token_is_refused_to_the_byte_in_german_too(api):
    given = {"data": {"refresh_token": "garbage"}, "content_type": "application/json", "headers": GERMAN}
    first, second = api.post("/api/auth/refresh", **given), api.post("/api/auth/refresh", **given)
    assert first.json()["detail"] == "Die Sitzung ist beendet. Melden Sie sich wieder an."
    assert first.json()["code"] == "session_ended"
    assert (first.content, first.headers.items()) == (second.content, second.headers.items())
    assert refresh(api).json()["detail"] == "The session has ended. Sign in again."


@pytest.mark.django_db
def test_what_is_wrong_with_a_field_is_told_in_german(api, user):
    given = {"email": user.email, "password": "x", "device_name": "a\nb", "mode": "none"}
    response = api.post("/api/auth/login", given, content_type="application/json", headers=GERMAN)
    assert response.json()["errors"] == {
        "device_name": ["Lassen Sie Steuerzeichen weg."],
        "mode": ["Dieser Server bietet diesen Modus nicht an."],
    }


def test_a_path_that_is_not_there_is_told_in_german(api):
    response = api.get("/nowhere", headers={**GERMAN, "Accept": "text/html"})
    assert response.status_code == 404
    assert "<p>Hier gibt es nichts.</p>" in response.content.decode()


@pytest.mark.django_db
def test_a_device_is_named_in_the_language_of_the_sign_in(user):
    german = Client(headers={"User-Agent": FIREFOX, **GERMAN})
    assert login(german, user)["session"]["device"] == {"name": "Firefox auf Windows"}
    nameless = Client(headers={"User-Agent": "", **GERMAN})
    assert login(nameless, user)["session"]["device"] == {"name": "Unbekanntes Gerät"}


@pytest.mark.django_db
def test_the_schema_is_english_whoever_asks(api):
    assert "Sign in first." in api.get("/api/schema", headers=GERMAN).content.decode()
