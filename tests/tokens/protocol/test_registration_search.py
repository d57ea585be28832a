"""Who can register a key for a session: the search examines every order of messages, every loss, and every theft."""

from itertools import product

import pytest

from tests.tokens.protocol.registration_search import Again, Required, Rule, search

BUILT = Rule(Required.REFRESH_TOKEN, Again.REFUSED)
OTHERS = {
    f"that requires {rule.required.value}, with another offer to {rule.again.value}": rule
    for rule in map(Rule, *zip(*product(Required, Again), strict=True))
    if rule != BUILT
}


def test_no_thief_registers_a_key_and_every_honest_browser_that_was_refused_is_bound_later():
    result = search(BUILT)
    assert result.history is None
    assert result.worlds > 400


@pytest.mark.parametrize("rule", OTHERS.values(), ids=OTHERS)
def test_the_search_finds_a_bad_history_for_a_registration(rule):
    history = search(rule).history
    assert history is not None
    assert history[-1] in {"the thief registers a key", "the session stays unbound"}
