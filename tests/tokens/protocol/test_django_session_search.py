"""Django's session stands for the first refresh token of a session: for how long, and what it proves.

Without a thief nobody is signed out by a lost response. With one, the session ends when the second of the two comes.
"""

import pytest

from tests.tokens.protocol import simulation
from tests.tokens.protocol.django_session_search import SIGNED_OUT, UNREPORTED, Rule, search

pytestmark = pytest.mark.long

modes = pytest.mark.parametrize("scoped", [False, True], ids=["mode cookie", "mode scoped"])


@modes
@pytest.mark.parametrize("stolen", [False, True], ids=["without a thief", "with a thief"])
def test_no_history_breaks_a_promise(scoped, stolen):
    worlds, history, broken = search(Rule.BUILT, scoped=scoped, stolen=stolen)
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
    assert search(rule, scoped=scoped, stolen=stolen)[2] == broken


def test_the_search_finds_a_history_if_a_page_without_the_refresh_token_ends_the_session():
    assert search(Rule.PAGES_END, scoped=True, stolen=False)[2] == SIGNED_OUT


@pytest.mark.parametrize(
    "histories", [60, pytest.param(simulation.HISTORIES, marks=pytest.mark.exhaustive)], ids=lambda n: f"{n} histories"
)
def test_the_simulation_signs_many_out_who_lose_the_response_to_the_first_refresh_if_it_stands_within_the_grace(
    histories,
):
    assert simulation.signed_out(simulation.FROM_DJANGO, histories, "within the grace") > histories / 20
    assert simulation.signed_out(simulation.FROM_DJANGO, histories) == 0


@pytest.mark.parametrize("row", simulation.THEFTS)
@pytest.mark.parametrize("used_here", [True, False], ids=["used here", "used elsewhere only"])
def test_a_thief_with_a_copy_of_djangos_session_is_found(row, used_here):
    theft = simulation.Theft(simulation.THEFTS[row], used_here, from_django=True)
    ends = {theft.generations(simulation.seeded(row, number)) for number in range(20)}
    same = simulation.Theft(simulation.THEFTS[row], used_here)
    assert ends == {same.generations(simulation.seeded(row, number)) for number in range(20)}
    assert None not in ends
