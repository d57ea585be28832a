"""Django's session stands for the first refresh token of a session: for how long, and what it proves.

Without a thief nobody is signed out by a lost response. With one, the session ends when the second of the two comes.
"""

import pytest

from tests.tokens.protocol import simulation
from tests.tokens.protocol.handed_search import SIGNED_OUT, UNREPORTED, Rule
from tests.tokens.protocol.handed_search import search as search_with_a_thief
from tests.tokens.protocol.search import Scale, search
from tokens.protocol.rotation import Decision

pytestmark = pytest.mark.long

modes = pytest.mark.parametrize("scoped", [False, True], ids=["mode cookie", "mode scoped"])


@modes
@pytest.mark.parametrize("stolen", [False, True], ids=["without a thief", "with a thief"])
def test_no_history_breaks_a_promise(scoped, stolen):
    worlds, history, broken = search_with_a_thief(Rule.BUILT, scoped=scoped, stolen=stolen)
    assert (history, broken) == (None, "")
    assert worlds > 20


@modes
@pytest.mark.parametrize(
    ("rule", "stolen", "broken"),
    [
        (Rule.WITHIN_GRACE, False, SIGNED_OUT),
        (Rule.WITHIN_GRACE, True, UNREPORTED),
        (Rule.NEVER_ENDS, True, UNREPORTED),
    ],
    ids=["within the grace, without a thief", "within the grace, with a thief", "without ending the session"],
)
def test_the_search_finds_a_history_if_it_stands_for_the_token(rule, stolen, broken, scoped):
    assert search_with_a_thief(rule, scoped=scoped, stolen=stolen)[2] == broken


def test_the_search_finds_a_history_if_a_page_without_the_refresh_token_ends_the_session():
    assert search_with_a_thief(Rule.PAGES_END, scoped=True, stolen=False)[2] == SIGNED_OUT


@pytest.mark.parametrize(
    "scale",
    [
        pytest.param(Scale(messages=2, handed=True, pages=True), id="pages", marks=pytest.mark.exhaustive),
        pytest.param(Scale(messages=2, handed=True, upload=4), id="an upload of 60 s", marks=pytest.mark.exhaustive),
    ],
)
def test_no_history_ends_an_honest_session_with(scale):
    result = search(scale, worlds=1_000_000)
    assert (result.history, result.left) == (None, 0)
    assert result.worlds > 50_000


def test_no_short_history_with_pages_ends_an_honest_session():
    assert search(Scale(messages=2, handed=True, pages=True), worlds=15_000).history is None


def test_a_search_finds_the_person_who_comes_back_after_the_grace_with_nothing_but_djangos_session():
    history = search(Scale(messages=2, handed=True, stands_within_grace=True), worlds=15_000).history
    assert history is not None
    assert any(step.startswith("lose") for step in history)
    assert history[-1] == "Django's session stands for no refresh token any more"


@pytest.mark.exhaustive
def test_a_search_finds_the_page_whose_answer_overwrites_a_newer_token():
    """A fail-over loses a rotation whose response the browser has. So pages get nothing after the grace."""
    history = search(Scale(messages=2, handed=True, pages=True, pages_recover=True), worlds=400_000).history
    assert history is not None
    assert "0 is recovered" in history
    assert history[-1].endswith(Decision.REUSE.value)


@pytest.mark.exhaustive
def test_a_search_finds_the_page_that_ends_the_session_of_an_honest_person():
    history = search(Scale(messages=2, handed=True, pages=True, pages_end=True), worlds=100_000).history
    assert history is not None
    assert history[-1] == f"0 is {Decision.REUSE.value}"


@pytest.mark.parametrize("histories", [60, pytest.param(simulation.HISTORIES, marks=pytest.mark.exhaustive)])
def test_the_simulation_signs_many_out_who_lose_the_response_to_the_first_refresh_if_it_stands_within_the_grace(
    histories,
):
    assert simulation.signed_out(simulation.HANDED, histories, "within the grace") > histories / 20
    assert simulation.signed_out(simulation.HANDED, histories) == 0


@pytest.mark.parametrize("row", simulation.THEFTS)
@pytest.mark.parametrize("used_here", [True, False])
def test_a_thief_with_a_copy_of_djangos_session_is_found(row, used_here):
    theft = simulation.Theft(simulation.THEFTS[row], used_here, handed=True)
    ends = {theft.generations(simulation.seeded(row, number)) for number in range(20)}
    same = simulation.Theft(simulation.THEFTS[row], used_here)
    assert ends == {same.generations(simulation.seeded(row, number)) for number in range(20)}
    assert None not in ends
