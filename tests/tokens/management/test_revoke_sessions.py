"""``revoke_sessions``: its options narrow the choice, nothing is revoked by accident, the events hold the reason."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError

from tests.factories import UserFactory
from tests.tokens.management.steps import output_of
from tests.tokens.service.holders import Holder
from tokens.models import RefreshToken, Revocation, SecurityEvent
from tokens.service import revocation

pytestmark = pytest.mark.django_db

ARMED = "--no-input"
NO_DEVICE = "0190b6f2-7e4c-7000-8000-000000000000"


def run(*arguments: str) -> str:
    return re.sub(r" in \d+\.\d s\n$", "\n", output_of("revoke_sessions", *arguments))


Sessions = dict[str, RefreshToken]
NO_UTF_8 = "a\udcff"
"""What Python makes of an argument of the shell that is no UTF-8."""


@pytest.fixture
def sessions(clock: Any) -> Sessions:
    """Sessions of Ada and Grace. Ada has two, each on its own device; one signed in a day before the others.

    Without the others a test could not tell a choice of sessions from all sessions.
    """
    ada, grace = UserFactory(email="ada@example.org"), UserFactory(email="grace@example.org")
    found = {}
    for name, user in [("ada, old", ada), ("ada", ada), ("grace", grace)]:
        found[name] = Holder(user, remember=True).row
        clock.forward(86_400 if name == "ada, old" else 60)
    return found


@pytest.fixture(autouse=True)
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Answers the command's question. Without it a question in spite of ``--no-input`` would go unnoticed."""

    def give(text: Any) -> None:
        def read(prompt: str = "") -> str:
            if isinstance(text, BaseException):
                raise text
            return str(text)

        monkeypatch.setattr("builtins.input", read)

    give(AssertionError("the command asked"))
    return give


def revoked(sessions: Sessions) -> set[str]:
    """Return the names of the sessions that are revoked."""
    ids = set(RefreshToken.objects.exclude(revoked_at=None).values_list("pk", flat=True))
    return {name for name, session in sessions.items() if session.pk in ids}


def events() -> Any:
    return SecurityEvent.objects.filter(kind="revoked")


CHOICES: dict[str, tuple[list[str], set[str]]] = {
    "all": (["--all"], {"ada, old", "ada", "grace"}),
    "a user's": (["--user=ada@example.org"], {"ada, old", "ada"}),
    "a user's, by the address in capitals": (["--user=Ada@Example.ORG"], {"ada, old", "ada"}),
    "a device's": (["--device={ada}"], {"ada"}),
    "those of a device that does not exist": ([f"--device={NO_DEVICE}"], set()),
    # The ages of the sessions are 86,400 + 120, 120 and 60 seconds.
    "older than three days": (["--older-than=3d"], set()),
    "a second too young": (["--older-than=86521"], set()),
    "exactly as old": (["--older-than=86520"], set()),
    "a second older": (["--older-than=86519s"], {"ada, old"}),
    "older than a day": (["--older-than=1d"], {"ada, old"}),
    "older than 24 hours": (["--older-than=24h"], {"ada, old"}),
    "older than two minutes": (["--older-than=2m"], {"ada, old"}),
    "older than 119 seconds": (["--older-than=119"], {"ada, old", "ada"}),
    "older than a minute": (["--older-than=1M"], {"ada, old", "ada"}),
    "older than nothing": (["--older-than=0"], {"ada, old", "ada", "grace"}),
    "older than the longest duration": ([f"--older-than={10**10 // 86400}d"], set()),
    "a user's old ones": (["--user=ada@example.org", "--older-than=1d"], {"ada, old"}),
    "a user's old ones, of which there are none": (["--user=grace@example.org", "--older-than=1d"], set()),
    "a user's on a device": (["--user=ada@example.org", "--device={ada}"], {"ada"}),
    "a user's on another user's device": (["--user=grace@example.org", "--device={ada}"], set()),
    "a device's old ones": (["--device={ada, old}", "--older-than=1d"], {"ada, old"}),
    "a device's old ones, of which there are none": (["--device={ada}", "--older-than=1d"], set()),
    "all options": (["--user=ada@example.org", "--device={ada, old}", "--older-than=1d"], {"ada, old"}),
}


class TestTheChoice:
    @pytest.mark.parametrize(("arguments", "names"), CHOICES.values(), ids=CHOICES)
    def test_is_narrowed_by_every_option(self, arguments, names, sessions):
        devices = {name: session.device_id for name, session in sessions.items()}
        given = [argument.format(**devices) for argument in arguments]
        assert run(*given, ARMED) == f"{len(names)} session{'' if len(names) == 1 else 's'} revoked\n"
        assert revoked(sessions) == names

    def test_by_age_counts_from_the_sign_in_and_not_from_the_last_refresh(self, sessions, clock):
        RefreshToken.objects.update(since=clock.now, generation=100)
        run("--older-than=1d", ARMED)
        assert revoked(sessions) == {"ada, old"}

    def test_does_not_include_ended_sessions(self, sessions, clock):
        RefreshToken.objects.filter(pk=sessions["ada"].pk).update(revoked_at=clock.now, revoked_reason="signed_out")
        RefreshToken.objects.filter(pk=sessions["grace"].pk).update(idle_expires_at=clock.now)
        assert run("--all", ARMED) == "1 session revoked\n"
        sessions["ada"].refresh_from_db()
        assert sessions["ada"].revoked_reason == "signed_out"
        assert run("--all", ARMED) == "0 sessions revoked\n"

    def test_may_be_more_than_a_batch(self, sessions, monkeypatch):
        monkeypatch.setattr(revocation, "BATCH", 2)
        assert run("--all", ARMED) == "3 sessions revoked\n"
        assert not RefreshToken.objects.live().exists()


class TestTheEffect:
    def test_is_recorded_in_the_row_the_event_and_the_revocation_feed(self, sessions, clock):
        run("--user=grace@example.org", ARMED)
        row = RefreshToken.objects.get(pk=sessions["grace"].pk)
        assert (row.revoked_reason, row.revoked_at, row.revoked_by) == ("ended_by_command", clock.now, None)
        assert events().get().reason == "ended_by_command"
        assert Revocation.objects.get().session_id == row.pk

    def test_is_recorded_with_the_reason(self, sessions):
        run("--user=ada@example.org", "--reason", "laptop stolen, ticket 4711 ☂", ARMED)
        assert {event.session_id for event in events()} == {sessions["ada"].pk, sessions["ada, old"].pk}
        assert {event.reason for event in events()} == {"ended_by_command: laptop stolen, ticket 4711 ☂"}
        assert {event.user.email for event in events()} == {"ada@example.org"}

    def test_is_recorded_with_a_long_reason_that_is_shortened(self, sessions):
        run("--all", "--reason", "x" * 5000, ARMED)
        assert [len(event.reason) for event in events()] == [200] * 3


class TestADryRun:
    def test_says_what_would_end_and_ends_nothing(self, sessions):
        RefreshToken.objects.filter(pk=sessions["grace"].pk).update(mode="body")
        said = run("--all", "--dry-run").splitlines()
        assert said[:-1] == [
            "3 sessions of 2 users would be revoked",
            "    1 in the storage mode body",
            "    2 in the storage mode cookie",
        ]
        assert said[-1].startswith("0 devices would not be trusted any more.")
        assert revoked(sessions) == set()

    def test_names_the_time_before_which_the_sessions_were_opened(self, sessions):
        said = run("--older-than=1d", "--dry-run")
        assert said.startswith("1 session of 1 user would be revoked, opened before 2030-01-01 12:02:00 UTC")


class TestTheQuestion:
    @pytest.mark.parametrize("yes", ["y", "Y", "yes", " Yes "])
    def test_says_how_many_sessions_end(self, yes, sessions, answer):
        answer(yes)
        assert run("--user=ada@example.org") == "End 2 live sessions? [y/N] 2 sessions revoked\n"
        assert revoked(sessions) == {"ada", "ada, old"}

    @pytest.mark.parametrize("no", ["n", "N", "no", "", " ", "yeah", "j", "1", EOFError()], ids=repr)
    def test_needs_a_clear_yes(self, no, sessions, answer):
        answer(no)
        with pytest.raises(CommandError, match="nothing was revoked"):
            run("--all")
        assert revoked(sessions) == set()

    def test_is_not_asked_with_no_input_in_either_spelling(self, sessions):
        run("--all", "--noinput")
        assert revoked(sessions) == set(sessions)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say which sessions"),
        (["--reason=why not"], "say which sessions"),
        (["--all", "--user=ada@example.org"], "say which sessions"),
        (["--all", "--older-than=1d"], "say which sessions"),
        (["--all", f"--device={NO_DEVICE}"], "say which sessions"),
        (["--user=nobody@example.org"], "there is no user 'nobody@example.org'"),
        (["--user="], "there is no user ''"),
        (["--user=ada@example.org", "--older-than="], "is not a duration"),
        (["--older-than=soon"], "'soon' is not a duration: write 90s, 15m, 12h or 30d"),
        *(
            ([f"--older-than={duration}"], "is not a duration")
            for duration in ("-1d", "1.5h", "1w", "1 d", "٣d", "9999999999", "999999999d", "999999d")
        ),
        (["--device=firefox"], "invalid UUID value: 'firefox'"),
    ],
    ids=lambda given: " ".join(given) or "no arguments" if isinstance(given, list) else given,
)
def test_invalid_arguments_are_rejected_with_a_message_of_one_line(arguments, message, sessions):
    with pytest.raises(CommandError) as rejected:
        run(*arguments, ARMED)
    assert message in str(rejected.value)
    assert len(str(rejected.value).splitlines()) == 1
    assert revoked(sessions) == set()


def test_a_reason_that_is_no_utf_8_prevents_no_revocation(sessions):
    assert run("--all", "--reason", NO_UTF_8, ARMED) == "3 sessions revoked\n"
    assert SecurityEvent.objects.filter(reason="ended_by_command: a?").count() == 3


def test_a_user_whose_name_is_no_utf_8_is_not_found(sessions):
    with pytest.raises(CommandError, match="there is no user"):
        run("--user", NO_UTF_8, ARMED)
    assert RefreshToken.objects.live().count() == 3
