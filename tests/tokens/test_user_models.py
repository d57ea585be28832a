"""User models that are a proxy or a child, that hide users, or whose names ignore case; backends with their own rules.

A process has one user model, so each scenario of `tests.tokens.user_models` runs in a process of its own.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from tests.browsers import ACCESS, post, refresh
from tests.tokens.service.holders import STILL_TIME, Holder, rotated_once
from tests.tokens.service.processes import url_of
from tests.tokens.service.statements import verbs
from tokens.backends import ModelBackend
from tokens.models import RefreshToken
from tokens.protocol.rotation import Decision
from tokens.service import user_rules

HERE = "tests.tokens.test_user_models"
OURS = "tokens.backends.ModelBackend"
THEIRS = "django.contrib.auth.backends.ModelBackend"
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("model", "backends"),
    [
        ("Member", OURS),
        ("Employee", OURS),
        ("Customer", OURS),
        ("Customer", f"{OURS},tests.tokens.user_models.backends.IgnoresCase"),
    ],
    ids=["a proxy", "a child", "a manager that hides users", "a backend that ignores case"],
)
@pytest.mark.at_length_on("sqlite")
@pytest.mark.long
def test_works_with(model, backends, database, tmp_path):
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.tokens.user_models.settings",
        "DATABASE_URL": url_of(connections["default"].settings_dict),
        "TEST_DATABASE": str(tmp_path / "db.sqlite3")
        if database == "sqlite"
        else f"test_of_{model}_{os.getpid()}".lower(),
        "USER_MODEL": model,
        "BACKENDS": backends,
    }
    command = [sys.executable, "-m", "tests.tokens.user_models.scenario", model]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


banned: set[Any] = set()


class Bans(ModelBackend):
    """A backend with rules of its own about who may act."""

    def get_user(self, user_id: Any) -> Any:
        return None if user_id in banned else super().get_user(user_id)


@pytest.fixture(autouse=True)
def _nobody_is_banned() -> None:
    """Without it a test could pass because of a user that another one has banned."""
    banned.clear()


@pytest.fixture(params=[[f"{HERE}.Bans"], [f"{HERE}.Bans", THEIRS]], ids=["alone", "before Django's"])
def bans(request: pytest.FixtureRequest, settings: Any) -> None:
    """The backend that can ban users. The other one knows every user, and is not the one of the sign-in."""
    settings.AUTHENTICATION_BACKENDS = request.param


@pytest.mark.django_db
@pytest.mark.at_length_on("sqlite")
class TestABackendsOwnGetUser:
    def test_decides_who_is_signed_in_at_each_request(self, bans, signed_in, user):
        assert signed_in.get("/api/auth/me").status_code == 200
        banned.add(user.pk)
        bearer = {"Authorization": f"Bearer {signed_in.cookies[ACCESS].value}"}
        assert signed_in.get("/api/auth/me").status_code == 401
        assert type(signed_in)().get("/api/auth/me", headers=bearer).status_code == 401
        banned.clear()
        assert signed_in.get("/api/auth/me").status_code == 200

    @pytest.mark.parametrize("times", [0, 2], ids=["the first rotation", "a later one"])
    def test_ends_the_session_at_the_next_refresh(self, bans, user, clock, times):
        holder = Holder(user)
        holder.put_back(backend=f"{HERE}.Bans")
        for _ in range(times):
            assert holder.refresh().decision is Decision.ROTATE
            clock.forward(STILL_TIME)
        banned.add(user.pk)
        assert holder.is_refused()
        assert holder.ending == ("user_disabled", 1)

    def test_is_that_of_the_backend_of_the_sign_in(self, bans, signed_in, user, settings):
        assert RefreshToken.objects.get().backend == f"{HERE}.Bans"
        banned.add(user.pk)
        settings.AUTHENTICATION_BACKENDS = [THEIRS, f"{HERE}.Bans"]
        assert refresh(signed_in).status_code == 401

    def test_refuses_a_sign_in_and_a_reauthentication(self, bans, signed_in, user, api):
        banned.add(user.pk)
        credentials = {"email": user.email, "password": "correct horse battery staple"}
        assert post(api, "/api/auth/login", credentials).status_code == 401
        assert post(signed_in, "/api/auth/reauthenticate", {"password": credentials["password"]}).status_code == 401


@pytest.mark.django_db
@pytest.mark.only_on("postgresql")
def test_without_own_rules_a_sign_in_and_a_refresh_take_no_further_statement(user, clock):
    holder = rotated_once(user, clock)
    assert holder.row.backend == ""
    assert verbs(holder.refresh) == ["UPDATE"]


@pytest.mark.django_db
@pytest.mark.at_length_on("sqlite")
class TestABackendThatWasRemoved:
    """Django signs out who has signed in by a backend that AUTHENTICATION_BACKENDS does not name any more."""

    @pytest.mark.parametrize(
        "left", [[THEIRS], [f"{HERE}.Bans"], [THEIRS, f"{HERE}.Bans"]], ids=["Django's", "one with rules", "both"]
    )
    def test_ends_its_sessions_at_the_next_refresh(self, user, settings, left):
        holder = Holder(user)
        holder.put_back(backend=f"{HERE}.Removed")
        settings.AUTHENTICATION_BACKENDS = left
        assert holder.is_refused()
        assert holder.ending == ("user_disabled", 1)
        assert user_rules.current(user.pk, f"{HERE}.Removed") is None

    def test_leaves_sessions_alone_whose_backend_is_not_known(self, user, settings):
        holder = Holder(user)
        holder.put_back(backend="")
        settings.AUTHENTICATION_BACKENDS = [THEIRS]
        assert holder.granted()
