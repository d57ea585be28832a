"""A session as an app uses it, in every storage mode: sign in, fetch, go on when the token has expired, sign out."""

from tests.browser.session.worlds import Tab, World
from tests.browser.sites import Person


def test_somebody_signs_in_fetches_and_signs_out(tab: Tab, world: World, person: Person) -> None:
    assert tab.restore() is None
    assert tab.fetch() == [401]
    tab.sign_in(person)
    assert tab.user == person.email
    assert tab.fetch() == [200]
    assert tab.heard == [["signin", person.email]]
    assert [row["mode"] for row in world.auth.sessions(person)] == [world.mode]
    tab.sign_out()
    assert tab.user is None
    assert tab.fetch() == [401]
    assert tab.heard == [["signin", person.email], ["signout", None]]
    assert [row["revoked_reason"] for row in world.auth.sessions(person)] == ["signed_out"]


def test_the_token_expires_and_nobody_notices(signed_in: Tab, world: World, person: Person) -> None:
    world.forward(601)
    assert signed_in.fetch() == [200]
    assert world.generation(person) == 1
    assert signed_in.heard == [["signin", person.email]]


def test_twenty_requests_with_an_expired_token_are_one_rotation_and_twenty_answers(
    signed_in: Tab, world: World, person: Person
) -> None:
    world.forward(601)
    assert signed_in.fetch(times=20) == [200] * 20
    assert world.generation(person) == 1
    assert world.refreshes == ([] if world.mode == "cookie" else [200])
    assert signed_in.restore() == person.email
