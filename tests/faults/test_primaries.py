"""The users of a site are divided over two primaries. A failure of one does not affect the users of the other.

The tests are behind ``exhaustive``, because the start of two servers and two nodes takes long.
"""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from time import sleep

import psutil
import pytest

from tests.browsers import REFRESH
from tests.clients.projects import Answer
from tests.faults.primaries import FIRST, MOVE_IN, NAMES, SECOND, DividedSite, Person, divided
from tests.faults.site import STILL, is_ready
from tests.scale.cluster import Database, suspended, wait_for
from tests.scale.people import SIGNED_OUT

pytestmark = pytest.mark.exhaustive

COOKIE, HEADER = "__Host-primary", "X-Primary"
OTHER = {FIRST: SECOND, SECOND: FIRST}
SESSIONS = "/admin/tokens/refreshtoken/"
UNAVAILABLE = 503
LIVE = "SELECT count(*) FROM tokens_refreshtoken WHERE revoked_at IS NULL AND id::text = ANY(%s)"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DividedSite]:
    """A site with two primaries. With one, a request that goes to the wrong primary would go unnoticed."""
    with divided(tmp_path_factory.mktemp("divided")) as found:
        yield found


@pytest.fixture(scope="module")
def addresses(site: DividedSite) -> dict[str, list[str]]:
    """Addresses without an account, by their homes. A test takes those that it needs."""
    return site.addresses()


@pytest.fixture(scope="module")
def people(site: DividedSite, addresses: dict[str, list[str]]) -> dict[str, Person]:
    """A registered person on each primary, without a sign-in."""
    return {name: site.register(addresses[name].pop()) for name in NAMES}


@pytest.fixture
def staff(site: DividedSite, addresses: dict[str, list[str]]) -> dict[str, Person]:
    """A member of the staff on each primary. Each has an address of the other home."""
    found = {}
    for name in NAMES:
        person = Person(site.origin, addresses[OTHER[name]].pop())
        given = {"DJANGO_SUPERUSER_EMAIL": person.account.email, "DJANGO_SUPERUSER_PASSWORD": person.account.password}
        site.command("createsuperuser", "--no-input", f"--database={name}", PRIMARY=name, **given)
        found[name] = signed_in(site, person)
    return found


def signed_in(site: DividedSite, person: Person) -> Person:
    """Return a new browser in which the person has signed in."""
    browser = person.anew()
    answer = browser.enter(site.front)
    assert answer.status == 200, answer.text
    return browser


def are_live(server: Database, *browsers: Person) -> int:
    """Return how many of these browsers have a session on this primary that has not ended."""
    return int(server.ask(LIVE, [browser.session_id for browser in browsers]))


def revoke_as_staff(site: DividedSite, staff: Person, browser: Person) -> Answer:
    """End the session of this browser on the pages of the admin."""
    fields = {"action": "revoke_selected", "_selected_action": browser.session_id, "confirmed": "yes"}
    return staff.post_form(site.front, SESSIONS, **fields)


def test_each_person_and_each_session_is_on_one_primary(site, people):
    for name, person in people.items():
        browser = signed_in(site, person)
        assert browser.cookies[COOKIE] == name
        assert (are_live(site.servers[name], browser), are_live(site.servers[OTHER[name]], browser)) == (1, 0)
        assert [browser.me(node).status for node in site.nodes.values()] == [200, 200]


def test_a_wrong_password_says_nothing_about_the_place(site, people):
    for person in people.values():
        browser = person.anew()
        browser.account.password += "?"
        answer = browser.enter(site.front)
        assert (answer.status, COOKIE in browser.cookies, answer.headers[HEADER]) == (SIGNED_OUT, False, None)


def test_cookies_of_one_primary_are_nobody_at_the_other(site, people):
    for name, person in people.items():
        browser = signed_in(site, person)
        stray = browser.copy()
        stray.cookies[COOKIE] = OTHER[name]
        assert stray.me(site.front).status == stray.refresh(site.front).status == SIGNED_OUT
        assert browser.refresh(site.front).status == 200
        assert are_live(site.servers[name], browser) == 1


def test_an_end_is_heard_by_the_nodes_of_both(site, people):
    for name, person in people.items():
        owner, ended = signed_in(site, person), signed_in(site, person)
        assert [ended.me(node).status for node in site.nodes.values()] == [200, 200]
        owner.end(site.nodes[name], ended)
        for node in site.nodes.values():
            wait_for(lambda node=node, ended=ended: ended.copy().me(node).status == SIGNED_OUT, "the end")
            assert owner.me(node).status == 200


def test_a_user_who_is_deactivated_by_sql_is_out_at_both_nodes(site, addresses):
    for name in NAMES:
        browser = signed_in(site, site.register(addresses[name].pop()))
        assert [browser.me(node).status for node in site.nodes.values()] == [200, 200]
        site.servers[name].ask("UPDATE accounts_user SET is_active = false WHERE email = %s", browser.account.email)
        for node in site.nodes.values():
            wait_for(lambda node=node, browser=browser: browser.copy().me(node).status == SIGNED_OUT, "the end")


def test_a_client_without_cookies_names_its_primary(site, people):
    for name, person in people.items():
        answer = signed_in(site, person).enter(site.front)
        assert answer.headers[HEADER] == name
        token = person.anew()
        token.cookies = {REFRESH: answer.set[REFRESH].value}
        assert token.copy().post_json(site.front, "/api/auth/refresh", **{HEADER: OTHER[name]}).status == SIGNED_OUT
        assert token.post_json(site.front, "/api/auth/refresh", **{HEADER: name}).status == 200


def test_a_link_leads_to_its_primary_from_any_browser(site, people, addresses):
    """The browser that opens it is signed in on the other primary, and stays so."""
    for name in NAMES:
        address = addresses[name].pop()
        stranger = Person(site.origin, address)
        password = stranger.account.password
        fields = {"email": address, "password1": password, "password2": password}
        assert stranger.post_form(site.front, "/register", **fields).status == 302
        browser = signed_in(site, people[OTHER[name]])
        answer = browser.get(site.front, f"/email/confirm?token={site.link_to(address)}")
        page = browser.get(site.front, answer.headers["Location"]).text
        token = re.search(r'name="token" value="([^"]+)"', page)
        assert token, page
        answer = browser.post_form(site.front, "/email/confirm", token=token[1], password1=password)
        assert (answer.status, answer.headers["Location"]) == (302, "/email/confirmed"), answer.text
        assert signed_in(site, stranger).cookies[COOKIE] == name
        assert browser.me(site.front).json()["user"]["email"] == browser.account.email


def test_an_account_stays_where_it_is_when_its_address_moves(site, addresses):
    for name in NAMES:
        browser, moved = signed_in(site, site.register(addresses[name].pop())), addresses[OTHER[name]].pop()
        change = {"email": moved, "current_password": browser.account.password}
        assert browser.post_json(site.front, "/api/auth/email/change", change).status == 202
        token = {"token": site.link_to(moved)}
        assert browser.anew().post_json(site.front, "/api/auth/email/confirm", token).status == 204
        again = signed_in(site, Person(site.origin, moved))
        assert again.cookies[COOKIE] == name
        assert are_live(site.servers[name], again, browser) == 2
        # Nobody gets a second account with the address, on either primary.
        for taker in (again.anew(), browser.anew()):
            given = {"email": moved, "password": "another password of theirs"}
            assert taker.post_json(site.front, "/api/auth/register", given).status == 202
        neighbour = signed_in(site, site.register(addresses[OTHER[name]].pop()))
        change = {"email": moved, "current_password": neighbour.account.password}
        assert neighbour.post_json(site.front, "/api/auth/email/change", change).status == 202
        wait_for(lambda moved=moved, token=token: site.link_to(moved) != token["token"], "another mail")
        token = {"token": site.link_to(moved)}
        assert neighbour.anew().post_json(site.front, "/api/auth/email/confirm", token).status == 400
        having = "SELECT count(*) FROM accounts_user WHERE email = %s"
        assert [site.servers[at].ask(having, moved) for at in (name, OTHER[name])] == [1, 0]


def test_who_was_on_the_first_primary_before_the_division_signs_in_there(site, staff):
    """The member of the staff on the first primary has an address whose home is the second."""
    site.servers[SECOND].ask("DELETE FROM primaries_elsewhere")
    assert staff[FIRST].anew().enter(site.front).status == SIGNED_OUT
    site.command("shell", "--no-imports", "-c", MOVE_IN.text)
    assert signed_in(site, staff[FIRST]).cookies[COOKIE] == FIRST


def test_a_command_works_on_the_primary_that_the_environment_names(site, people):
    browsers = {name: signed_in(site, person) for name, person in people.items()}
    site.command("purge_tokens", PRIMARY=SECOND)
    site.command("revoke_sessions", f"--user={people[SECOND].account.email}", "--no-input", PRIMARY=SECOND)
    assert [are_live(site.servers[name], browser) for name, browser in browsers.items()] == [1, 0]
    wait_for(lambda: browsers[SECOND].copy().me(site.front).status == SIGNED_OUT, "the end")
    purges = "SELECT count(*) FROM tokens_securityevent WHERE kind = 'purged'"
    assert [site.servers[name].ask(purges) for name in NAMES] == [0, 1]


@contextmanager
def stopped(server: Database) -> Iterator[None]:
    """Within, the server does not run."""
    server.kill()
    try:
        yield
    finally:
        server.start()


def frozen(server: Database) -> AbstractContextManager[None]:
    """Within, the server accepts connections and does not answer."""
    postmaster = psutil.Process(server.pid)
    return suspended(postmaster, *postmaster.children(recursive=True))


@pytest.mark.parametrize(
    ("failing", "failure"),
    [(FIRST, stopped), (FIRST, frozen), (SECOND, stopped), (SECOND, frozen)],
    ids=["first stopped", "first frozen", "second stopped", "second frozen"],
)
def test_a_failure_of_one_primary_does_nothing_to_the_people_of_the_other(site, people, staff, failing, failure):
    """Those of the failing one are answered 503 meanwhile, and keep their cookies and their sessions."""
    works = OTHER[failing]
    before = {name: [signed_in(site, people[name]) for _ in range(3)] for name in NAMES}
    owner, leaving, ended = before[works]
    sleep(STILL)  # From then on a refresh replaces the token.

    def expect(status: int, answer: Answer) -> None:
        assert answer.status == status, answer.text

    with failure(site.servers[failing]):
        waiting, token = before[failing][0], owner.token
        kept = dict(waiting.cookies)
        assert (waiting.refresh(site.front).status, waiting.cookies) == (UNAVAILABLE, kept)
        for _ in range(3):
            expect(200, owner.me(site.front))
            expect(200, owner.refresh(site.front))
        assert owner.token != token
        assert {name: is_ready(node) for name, node in site.nodes.items()} == {failing: False, works: True}
        assert people[failing].anew().enter(site.front).status == UNAVAILABLE
        for _ in range(2):
            expect(200, people[works].anew().enter(site.front))
        expect(204, leaving.post_json(site.front, "/api/auth/logout"))
        expect(302, revoke_as_staff(site, staff[works], ended))
        assert are_live(site.servers[works], *before[works]) == 1
        assert ended.refresh(site.front).status == SIGNED_OUT
    for node in site.nodes.values():
        wait_for(lambda node=node: people[failing].anew().enter(node).status == 200, "the primary")
    assert [browser.refresh(site.front).status for browser in before[failing]] == [200] * 3
