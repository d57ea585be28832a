"""``revoke_sessions``: what is given narrows the choice, nothing is revoked by accident, and the events say why."""

from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from tests.browsers import FIREFOX, login
from tests.factories import UserFactory
from tokens.models import RefreshToken, Revocation, SecurityEvent

pytestmark = pytest.mark.django_db

ARMED = "--no-input"
NO_DEVICE = "0190b6f2-7e4c-7000-8000-000000000000"


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("revoke_sessions", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def sessions(clock: Any) -> dict[str, RefreshToken]:
    """Sessions of Ada and Grace. Ada has two: one signed in a day before the others, on a device of its own."""
    ada, grace = UserFactory(email="ada@example.org"), UserFactory(email="grace@example.org")
    found = {}
    for name, user in [("ada, old", ada), ("ada", ada), ("grace", grace)]:
        login(Client(headers={"User-Agent": FIREFOX}), user, remember=True)
        found[name] = RefreshToken.objects.order_by("-id")[0]
        clock.forward(86_400 if name == "ada, old" else 60)
    return found


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Sits at the terminal. Without it a question is a failure."""

    def give(text: Any) -> None:
        def read(prompt: str = "") -> str:
            if isinstance(text, BaseException):
                raise text
            return str(text)

        monkeypatch.setattr("builtins.input", read)

    give(AssertionError("the command asked"))
    return give


def revoked() -> set[Any]:
    return set(RefreshToken.objects.exclude(revoked_at=None).values_list("pk", flat=True))


def chosen(sessions: dict[str, RefreshToken], *names: str) -> set[Any]:
    return {sessions[name].pk for name in names}


# Which


def test_all_means_everybodys(sessions, answer):
    assert run("--all", ARMED) == "3 sessions revoked\n"
    assert revoked() == chosen(sessions, *sessions)


@pytest.mark.parametrize("login_name", ["ada@example.org", "Ada@Example.ORG"])
def test_one_users_are_found_by_e_mail(login_name, sessions, answer):
    assert run("--user", login_name, ARMED) == "2 sessions revoked\n"
    assert revoked() == chosen(sessions, "ada", "ada, old")


def test_one_devices_are_found_by_its_id(sessions, answer):
    run("--device", str(sessions["ada"].device_id), ARMED)
    assert revoked() == chosen(sessions, "ada")


@pytest.mark.parametrize(
    ("duration", "names"),
    [
        ("3d", set()),
        ("86521", set()),  # the old one is 86,400 + 120 s old; the next 120; the last 60
        ("86520", set()),
        ("86519s", {"ada, old"}),
        ("1d", {"ada, old"}),
        ("24h", {"ada, old"}),
        ("2m", {"ada, old"}),
        ("119", {"ada, old", "ada"}),
        ("1M", {"ada, old", "ada"}),
        ("0", {"ada, old", "ada", "grace"}),
    ],
)
def test_old_ones_are_found_by_their_sign_in_to_the_second(duration, names, sessions, answer):
    assert run("--older-than", duration, ARMED) == f"{len(names)} sessions revoked\n"
    assert revoked() == chosen(sessions, *names)


def test_a_session_is_as_old_as_its_sign_in_however_often_it_was_refreshed(sessions, answer, clock):
    RefreshToken.objects.update(since=clock.now, generation=100)
    run("--older-than=1d", ARMED)
    assert revoked() == chosen(sessions, "ada, old")


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--user=ada@example.org", "--older-than=1d"], {"ada, old"}),
        (["--user=grace@example.org", "--older-than=1d"], set()),
        (["--user=ada@example.org", "--device={ada}"], {"ada"}),
        (["--user=grace@example.org", "--device={ada}"], set()),
        (["--device={ada, old}", "--older-than=1d"], {"ada, old"}),
        (["--device={ada}", "--older-than=1d"], set()),
        (["--user=ada@example.org", "--device={ada, old}", "--older-than=1d"], {"ada, old"}),
    ],
)
def test_options_narrow_each_other(arguments, names, sessions, answer):
    given = [
        argument.format(**{name: session.device_id for name, session in sessions.items()}) for argument in arguments
    ]
    assert run(*given, ARMED) == f"{len(names)} sessions revoked\n"
    assert revoked() == chosen(sessions, *names)


def test_ended_sessions_are_left_alone(sessions, answer, clock):
    RefreshToken.objects.filter(pk=sessions["ada"].pk).update(revoked_at=clock.now, revoked_reason="signed_out")
    RefreshToken.objects.filter(pk=sessions["grace"].pk).update(idle_expires_at=clock.now)
    assert run("--all", ARMED) == "1 sessions revoked\n"
    sessions["ada"].refresh_from_db()
    assert sessions["ada"].revoked_reason == "signed_out"
    assert run("--all", ARMED) == "0 sessions revoked\n"


def test_more_sessions_than_a_batch_are_all_revoked(sessions, answer, monkeypatch):
    monkeypatch.setattr("tokens.service.ending.BATCH", 2)
    assert run("--all", ARMED) == "3 sessions revoked\n"
    assert not RefreshToken.objects.live().exists()


# What it means


def test_a_revoked_sessions_access_token_dies(user, api, answer, clock):
    login(api, user)
    run("--user", user.email, ARMED)
    clock.forward(2)
    assert api.get("/api/auth/me").status_code == 401
    assert Revocation.objects.count() == 1


def test_the_row_says_that_it_was_a_command(sessions, answer, clock):
    run("--user=grace@example.org", ARMED)
    session = RefreshToken.objects.get(pk=sessions["grace"].pk)
    assert (session.revoked_reason, session.revoked_at, session.revoked_by) == ("ended_by_command", clock.now, None)


def test_the_reason_stands_in_the_events(sessions, answer):
    run("--user=ada@example.org", "--reason", "laptop stolen, ticket 4711 ☂", ARMED)
    events = SecurityEvent.objects.filter(kind="revoked")
    assert {event.session_id for event in events} == chosen(sessions, "ada", "ada, old")
    assert {event.reason for event in events} == {"ended_by_command: laptop stolen, ticket 4711 ☂"}
    assert {event.user.email for event in events} == {"ada@example.org"}


def test_without_a_reason_the_event_says_that_it_was_a_command(sessions, answer):
    run("--all", ARMED)
    assert set(SecurityEvent.objects.filter(kind="revoked").values_list("reason", flat=True)) == {"ended_by_command"}


def test_a_very_long_reason_is_cut_and_kept(sessions, answer):
    run("--all", "--reason", "x" * 5000, ARMED)
    reasons = set(SecurityEvent.objects.filter(kind="revoked").values_list("reason", flat=True))
    assert {len(reason) for reason in reasons} == {200}


# Asking first


@pytest.mark.parametrize("yes", ["y", "Y", "yes", " Yes "])
def test_it_asks_first_and_says_how_many(yes, sessions, answer):
    answer(yes)
    assert run("--user=ada@example.org") == "End 2 live sessions? [y/N] 2 sessions revoked\n"
    assert revoked() == chosen(sessions, "ada", "ada, old")


@pytest.mark.parametrize("no", ["n", "N", "no", "", " ", "yeah", "j", "1", EOFError()])
def test_anything_but_yes_revokes_nothing(no, sessions, answer):
    answer(no)
    with pytest.raises(CommandError, match="nothing was revoked"):
        run("--all")
    assert revoked() == set()


@pytest.mark.parametrize("spelling", ["--no-input", "--noinput"])
def test_with_no_input_it_does_not_ask(spelling, sessions, answer):
    run("--all", spelling)
    assert revoked() == chosen(sessions, *sessions)


# What cannot be meant


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "say which sessions"),
        (["--reason=why not"], "say which sessions"),
        (["--all", "--user=ada@example.org"], "say which sessions"),
        (["--all", "--older-than=1d"], "say which sessions"),
        (["--all", f"--device={NO_DEVICE}"], "say which sessions"),
        (["--user=nobody@example.org"], "there is no user 'nobody@example.org'"),
        (["--user="], "there is no user ''"),
        (["--user=ada@example.org", "--older-than="], "is no duration"),
        (["--older-than=soon"], "'soon' is no duration: write 90s, 15m, 12h or 30d"),
        (["--older-than=-1d"], "is no duration"),
        (["--older-than=1.5h"], "is no duration"),
        (["--older-than=1w"], "is no duration"),
        (["--older-than=1 d"], "is no duration"),
        (["--older-than=٣d"], "is no duration"),
        (["--older-than=9999999999"], "is no duration"),
        (["--older-than=999999999d"], "is no duration"),
        (["--older-than=999999d"], "is no duration"),
        (["--device=firefox"], "invalid UUID value: 'firefox'"),
        (["--device="], "invalid UUID value"),
        (["--device=1"], "invalid UUID value"),
        (["--everything"], "unrecognized arguments"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_line(arguments, said, sessions, answer):
    with pytest.raises(CommandError) as refused:
        run(*arguments, ARMED)
    assert said in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    assert revoked() == set()


def test_the_longest_duration_is_older_than_anybody(sessions, answer):
    assert run("--older-than", f"{10**10 // 86400}d", ARMED) == "0 sessions revoked\n"


def test_a_device_that_is_not_there_has_no_sessions(sessions, answer):
    assert run(f"--device={NO_DEVICE}", ARMED) == "0 sessions revoked\n"


def test_after_a_restore_sessions_older_than_it_can_be_ended(sessions, answer, clock, api):
    """A restore brings back what was revoked since: the operator ends whatever is older than it."""
    clock.forward(timedelta(hours=2).total_seconds())
    login(api, UserFactory())
    run("--older-than=1h", "--reason=restored from a backup", ARMED)
    assert RefreshToken.objects.live().count() == 1
    assert api.get("/api/auth/me").status_code == 200
