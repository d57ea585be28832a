"""Translations: every text exists in German, and each response has the language of its client.

Tests with the marker ``gettext`` need GNU gettext. They collect and compile all texts again, and ``.ci/run`` runs them.
"""

import io
import os
import re
import shutil
import subprocess
import sys
from gettext import GNUTranslations
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import translation

from tests.browsers import FIREFOX, login, refresh
from tokens.web.http import problems

ROOT = Path(__file__).parent.parent
APPS = ["accounts", "factors", "tokens"]
SOURCES = [*APPS, "config", "templates", "manage.py"]
PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[a-z]")
GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}

each_app = pytest.mark.parametrize("app", APPS)


def catalogue(app: str, root: Path = ROOT) -> Path:
    return root / app / "locale" / "de" / "LC_MESSAGES" / "django.po"


def gettext(*command: Any) -> bytes:
    """Run one of gettext's programs. If they are not installed, the test must fail instead of being skipped."""
    return subprocess.run([str(part) for part in command], check=True, capture_output=True).stdout


def texts_of(file: Any) -> dict[Any, str]:
    """Return the texts of a compiled catalogue without its header."""
    catalog: dict[Any, str] = GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    return {key: text for key, text in catalog.items() if key}


def shipped(app: str) -> dict[Any, str]:
    with catalogue(app).with_suffix(".mo").open("rb") as file:
        return texts_of(file)


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which every text was collected again. `makemessages` would change the working tree."""
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
def test_the_catalogue_has_every_text_translated_and_no_obsolete_one(collected, app, missing):
    assert gettext("msgattrib", missing, "--no-wrap", catalogue(app, collected)).decode() == ""


@pytest.mark.gettext
@each_app
def test_the_compiled_catalogue_is_up_to_date(app):
    binary = gettext("msgfmt", "--check", "--check-format", "--output-file=-", catalogue(app))
    assert shipped(app) == texts_of(io.BytesIO(binary))


@each_app
def test_a_translation_has_the_placeholders_of_its_text(app):
    for key, text in shipped(app).items():
        english = key[0] if isinstance(key, tuple) else key
        assert sorted(PLACEHOLDER.findall(text)) == sorted(PLACEHOLDER.findall(english)), english


def test_texts_in_both_catalogues_have_the_same_translation():
    for one, other in combinations([shipped(app) for app in APPS], 2):
        assert {key: (one[key], other[key]) for key in one.keys() & other.keys() if one[key] != other[key]} == {}


def test_every_problem_is_translated():
    constants = [value for value in vars(problems).values() if isinstance(value, problems.Problem)]
    assert len(constants) > 10
    for problem in constants:
        assert problem.text == problem.detail
        with translation.override("de"):
            assert problem.text != problem.detail
            assert problem.as_json()["code"] == problem.code


IN_GERMAN, IN_ENGLISH = ("de", "Melden Sie sich zuerst an."), ("en", "Sign in first.")
LANGUAGES = {
    "German": ("de", IN_GERMAN),
    "Swiss German before English": ("de-CH, en;q=0.5", IN_GERMAN),
    "British English before German": ("en-GB, de;q=0.5", IN_ENGLISH),
    "one without a catalogue": ("fr", IN_ENGLISH),
    "none": ("", IN_ENGLISH),
    "any": ("*", IN_ENGLISH),
    "a long text": ("x" * 10_000, IN_ENGLISH),
}


@pytest.mark.parametrize(("accepted", "expected"), LANGUAGES.values(), ids=LANGUAGES)
def test_a_problem_has_the_clients_language(api, accepted, expected):
    response = api.get("/api/auth/me", headers={"Accept-Language": accepted})
    problem = response.json()
    assert (response.status_code, problem["code"], problem["title"]) == (401, "not_authenticated", "Unauthorized")
    assert (response["Content-Language"], problem["detail"]) == expected
    assert "Accept-Language" in response["Vary"]


def test_the_language_of_one_client_is_not_used_for_the_next(api):
    api.get("/api/auth/me", headers=GERMAN)
    assert api.get("/api/auth/me").json()["detail"] == "Sign in first."


@pytest.mark.django_db
def test_the_rejection_of_a_refresh_token_is_always_the_same_in_german_too(api):
    given = {"data": {"refresh_token": "garbage"}, "content_type": "application/json", "headers": GERMAN}
    first, second = api.post("/api/auth/refresh", **given), api.post("/api/auth/refresh", **given)
    assert first.json()["detail"] == "Die Sitzung ist beendet. Melden Sie sich wieder an."
    assert first.json()["code"] == "session_ended"
    assert (first.content, first.headers.items()) == (second.content, second.headers.items())
    assert refresh(api).json()["detail"] == "The session has ended. Sign in again."


@pytest.mark.django_db
def test_errors_of_a_field_are_in_german(api, user):
    given = {"email": user.email, "password": "x", "device_name": "a\nb", "mode": "none"}
    response = api.post("/api/auth/login", given, content_type="application/json", headers=GERMAN)
    assert response.json()["errors"] == {
        "device_name": ["Lassen Sie Steuerzeichen weg."],
        "mode": ["Dieser Server bietet diesen Modus nicht an. Seine Einstellung MODES hat: cookie."],
    }


def test_an_error_page_is_in_german(api):
    response = api.get("/nowhere", headers={**GERMAN, "Accept": "text/html"})
    assert response.status_code == 404
    assert "<p>Hier gibt es nichts.</p>" in response.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("agent", "name"),
    [(FIREFOX, "Firefox auf Windows"), ("", "Unbekanntes Gerät")],
    ids=["a browser", "an unknown one"],
)
def test_a_device_is_named_in_the_language_of_the_sign_in(user, agent, name):
    assert login(Client(headers={"User-Agent": agent, **GERMAN}), user)["session"]["device"] == {"name": name}


@pytest.mark.django_db
def test_the_schema_is_always_in_english(api):
    assert "Sign in first." in api.get("/api/schema", headers=GERMAN).content.decode()
