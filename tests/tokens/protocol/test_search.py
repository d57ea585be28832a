"""The search examines all short histories of an honest person: none ends the session, unless the protocol is broken."""

import pytest

from tests.tokens.protocol.search import Scale, search
from tokens.protocol.rotation import Decision

pytestmark = pytest.mark.long

DJANGO = Scale(messages=2, from_django=True)
PAGES = DJANGO._replace(pages=True)
HONEST = {
    # what the histories have, and how many worlds there are at least
    "in coarse units of time": (Scale(), 60_000),
    "with an upload of 60 s": (Scale(upload=4, messages=2), 20_000),
    "that begins with Django's session": (DJANGO, 5_000),
    "with a cookie that is renamed": (Scale(messages=1, renames=True), 14_000),
}
HONEST_AT_LENGTH = {
    "in finer units of time": (Scale(grace=6), 4_000_000),
    "with an upload of 45 s that is not late": (Scale(upload=3, messages=2, uploads_are_not_late=True), 20_000),
    "with an upload of 150 s": (Scale(upload=10, messages=2), 20_000),
    "with an upload of 150 s that is sent after a pause": (Scale(upload=10, messages=2, expired=True), 20_000),
    "that begins with Django's session, and has three messages": (Scale(messages=3, from_django=True), 5_000),
    "that begins with Django's session, and has pages": (PAGES, 50_000),
    "that begins with Django's session, and has an upload of 60 s": (DJANGO._replace(upload=4), 50_000),
}
# what the histories have, and how many worlds are examined
NEAREST = {"with pages": (PAGES, 15_000)}
NEAREST_AT_LENGTH = {"with a cookie that is renamed and two messages": (Scale(messages=2, renames=True), 100_000)}
REUSE, NO_TOKEN = Decision.REUSE.value, "Django's session stands for no refresh token any more"
BROKEN = {
    # what is broken, a step of the history that is found, and how its last step ends
    "an upload of 60 s that is not late": (Scale(upload=4, messages=2, uploads_are_not_late=True), "", REUSE),
    "a still time of two graces": (Scale(still_time_cut=2), "", REUSE),
    "acknowledging after two graces": (Scale(acknowledged_early=2), "", REUSE),
    "a cookie of the other name that stays": (Scale(messages=2, renames=True, other_name_stays=True), "", REUSE),
    "Django's session that stands for the first token within the grace only": (
        DJANGO._replace(stands_within_grace=True),
        "lose",
        NO_TOKEN,
    ),
}
BROKEN_AT_LENGTH = {
    "a first response that sends a refresh token": (Scale(from_django=True, first_sends_refresh=True), "", REUSE),
    "an upload of 150 s that is sent after a pause and is not late": (
        Scale(upload=10, messages=2, expired=True, uploads_are_not_late=True),
        "",
        REUSE,
    ),
    "a still time shorter than two graces and 30 s": (Scale(still_time_cut=1), "", REUSE),
    "a repeat that sends the refresh token again": (Scale(repeat_sends_refresh=True), "", REUSE),
    # A fail-over loses a rotation whose response the browser has. So pages get nothing after the grace.
    "a page whose answer overwrites a newer token": (PAGES._replace(pages_recover=True), "0 is recovered", REUSE),
    "a page that ends the session": (PAGES._replace(pages_end=True), "", f"0 is {REUSE}"),
}


def cases(short: dict[str, tuple], at_length: dict[str, tuple]) -> pytest.MarkDecorator:
    """Parametrise a test with these rows, the second ones only if exhaustive tests run."""
    rows = [pytest.param(row, id=name) for name, row in short.items()]
    return pytest.mark.parametrize(
        "row", [*rows, *(pytest.param(row, id=name, marks=pytest.mark.exhaustive) for name, row in at_length.items())]
    )


@cases(HONEST, HONEST_AT_LENGTH)
def test_no_history_ends_an_honest_session(row):
    """A proxy forwards an upload when it has the whole body. Its refresh token may have been replaced meanwhile.

    A sign-in outside of our middleware leaves its access token in Django's session. The first refresh is by that.
    """
    scale, at_least = row
    result = search(scale, worlds=5 * max(at_least, 60_000))
    assert (result.history, result.left) == (None, 0)
    assert result.worlds > at_least


@cases(NEAREST, NEAREST_AT_LENGTH)
def test_no_short_history_ends_an_honest_session(row):
    assert search(*row).history is None


@cases(BROKEN, BROKEN_AT_LENGTH)
def test_the_search_finds_a_history_that_ends_an_honest_session_by(row):
    scale, step, last = row
    history = search(scale, worlds=400_000).history
    assert history is not None
    assert any(found.startswith(step) for found in history)
    assert history[-1].endswith(last)
