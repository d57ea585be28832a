"""Several tabs of one browser, one of them a duplicate, act as one client in every storage mode."""

import pytest

from tests.browser.session.worlds import Tab

CLOSED = "the tab is closed"


@pytest.fixture
def tabs(signed_in, new_tab, person) -> list[Tab]:
    """Three tabs of one browser in which the user is signed in. The second is a duplicate of the first.

    A duplicate has a copy of the ``sessionStorage``, so that a name kept there would not identify one tab.
    """
    found = [signed_in, signed_in.duplicate(), new_tab()]
    assert [tab.restore() for tab in found] == [person.email] * 3
    signed_in.world.forget()
    return found


def test_three_tabs_refresh_once(tabs, world, person):
    for generation in (1, 2):
        world.forward(601)
        world.forget()
        with world.slow_refreshes():  # The other tabs' requests fail while the first tab refreshes.
            for tab in tabs:
                tab.begin(times=5)
            assert [tab.end() for tab in tabs] == [[200] * 5] * 3
        assert world.generation(person) == generation
        if world.binds:  # The browser refreshes, and a tab may ask what it has done.
            assert len(world.refreshes) <= 1
        else:  # In mode `cookie` the middleware refreshes.
            assert world.refreshes == ([] if world.mode == "cookie" else [200])


def test_a_sign_in_another_user_s_sign_in_and_a_sign_out_are_seen_in_every_tab(new_tab, world, person):
    first, other = new_tab(), world.auth.new_person()
    tabs = [first, first.duplicate(), new_tab()]
    for signed_in, user in ((tabs[0], person), (tabs[2], other)):
        signed_in.sign_in(user)
        for tab in tabs:
            tab.wait_for(f"session.user?.email === '{user.email}'")
            assert tab.fetch() == [200]
    world.forget()
    tabs[1].sign_out()
    for tab in tabs:
        tab.wait_for("!session.user")
        assert tab.heard == [["signin", person.email], ["signin", other.email], ["signout", None]]
    assert [tab.fetch(times=3) for tab in tabs] == [[401] * 3] * 3
    assert world.refreshes == []


def test_a_revoked_session_ends_in_every_tab_at_the_next_request_and_is_not_refreshed_again(tabs, world, person):
    world.auth.revoke(person)
    # Another process learns of the revocation after a second.
    while tabs[0].fetch() != [401]:
        tabs[0].page.wait_for_timeout(100)
    for tab in tabs:
        tab.wait_for("heard.at(-1)?.[0] === 'expire'", timeout=2000)
        assert tab.user is None
    assert len(world.refreshes) == 1
    world.forget()
    for _ in range(3):
        assert [tab.fetch(times=3) for tab in tabs] == [[401] * 3] * 3
    assert (world.refreshes, len(world.answered())) == ([], 27)
    tabs[1].sign_in(person)
    assert tabs[1].fetch() == [200]


# In mode `body` the lock is the worker's, and does not end with a tab, however that ends.
@pytest.mark.parametrize(
    ("mode", "end"),
    [("scoped", CLOSED), ("scoped", "the tab navigates"), ("subdomain", CLOSED), ("body", CLOSED)],
    indirect=["mode"],
)
def test_a_tab_that_ends_during_a_refresh_does_not_block_the_others(tabs, world, person, end):
    world.forward(601)
    with world.slow_refreshes():
        tabs[0].begin()
        tabs[0].wait_for_lock()
        for tab in tabs[1:]:
            tab.begin()
        tabs[0].page.close() if end == CLOSED else tabs[0].page.goto("about:blank")
        assert [tab.end() for tab in tabs[1:]] == [[200]] * 2
    assert world.generation(person) == 1


def test_a_lost_answer_to_the_only_tab_does_not_sign_the_user_out(signed_in, world, context, new_tab, person):
    world.forward(601)
    context.new_page().goto(f"{world.app.origin}/app")
    with world.hanging():
        signed_in.begin_asking()
        signed_in.wait_for_lock()
        signed_in.page.close()
    after = new_tab()
    assert (after.restore(), after.fetch()) == (person.email, [200])


def test_the_tabs_wait_for_a_slow_answer(tabs, world, person):
    world.forward(601)
    with world.hanging():
        for tab in tabs:
            tab.begin_asking()
        tabs[0].wait_for_lock()
    assert [tab.end() for tab in tabs] == [True] * 3
    assert [tab.fetch() for tab in tabs] == [[200]] * 3
    assert world.generation(person) == 1


@pytest.mark.chromium_only("its debugger stops a tab")
@pytest.mark.parametrize("mode", ["scoped", "subdomain"], indirect=True)
def test_a_frozen_tab_that_holds_the_lock_does_not_block_the_others(tabs, world, context, person):
    world.forward(601)
    debugger = context.new_cdp_session(tabs[0].page)
    debugger.send("Debugger.enable")
    with world.hanging():
        tabs[0].begin_asking()
        tabs[0].wait_for_lock()
        debugger.send("Debugger.pause")  # The tab's scripts stop, like those of a frozen tab.
    # The second tab shares a process with the first, which opened it. The third waits ten seconds for the lock.
    tabs[2].page.evaluate(
        "AbortSignal.timeout = ((of) => (time) => of.call(AbortSignal, time / 10))(AbortSignal.timeout)"
    )
    assert tabs[2].fetch() == [200]
    assert world.generation(person) == 1
    debugger.send("Debugger.disable")
    assert tabs[0].end() is True
    assert [tab.fetch() for tab in tabs] == [[200]] * 3


def test_a_late_answer_to_an_old_request_does_not_undo_a_new_sign_in(signed_in, world, person):
    other = world.auth.new_person()
    world.auth.revoke(person)
    world.app.hold_answers("/api/orders")
    signed_in.begin()
    world.app.wait_until_held()
    signed_in.sign_in(other)
    world.app.deliver()
    assert (signed_in.end(), signed_in.user) == ([200], other.email)
    assert signed_in.heard == [["signin", person.email], ["signin", other.email]]


@pytest.mark.parametrize("mode", ["scoped", "subdomain"], indirect=True)
def test_without_locks_each_tab_refreshes_once_and_the_server_answers_both(world, context, person, new_tab):
    """Over plain http browsers have no locks, except on localhost."""
    context.add_init_script("Object.defineProperty(navigator, 'locks', { value: undefined })")
    tabs = [new_tab(), new_tab()]
    tabs[0].sign_in(person)
    tabs[0].wait_until_bound(person)
    assert tabs[1].restore() == person.email
    world.forward(601)
    world.forget()
    for tab in tabs:
        tab.begin(times=20)
    assert [tab.end() for tab in tabs] == [[200] * 20] * 2
    assert world.generation(person) == 1
    assert world.refreshes in ([200], [200, 200])


def test_a_closed_session_receives_no_events_and_does_not_sign_the_user_out(tabs, person):
    tabs[0].page.evaluate("session.close()")
    assert tabs[1].fetch() == [200]
    tabs[1].sign_out()
    tabs[2].wait_for("!session.user")
    assert (tabs[0].heard, tabs[0].user) == ([["signin", person.email]], person.email)
