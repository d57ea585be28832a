"""``django-latchkey-react-native`` in Node, at the real server. Only the phone's storage and app state are replaced."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.node import node_environment
from tests.browser.sites import THREE_MODES, Person, Site
from tests.browser.steps import EXPIRED
from tests.clients.conftest import workspace  # noqa: F401  # A fixture in this file, too.

ORDERS = "return (await phone.session.fetch('/api/orders')).status"
RESTORE = "return (await phone.session.restore())?.email"
RESTART = "phone.start();" + RESTORE


class Phone:
    """A process that runs the session, and the code that a test sends it."""

    def __init__(self, process: Any) -> None:
        self._process = process

    def do(self, code: str, **given: object) -> Any:
        """Run JavaScript, and return its result, or the code of the error that it throws."""
        self.begin(code, **given)
        return self.end()

    def begin(self, code: str, **given: object) -> None:
        self._process.stdin.write(json.dumps({"code": code, "given": given}) + "\n")
        self._process.stdin.flush()

    def end(self) -> Any:
        line = self._process.stdout.readline()
        assert line, "the phone's process has ended"
        answer = json.loads(line)
        return answer.get("result", answer.get("error"))

    def sign_in(self, person: Person) -> None:
        given = {"email": person.email, "password": person.password, "remember": True}
        assert self.do("return (await phone.session.signIn(given)).email", **given) == person.email

    @property
    def kept(self) -> dict[str, Any]:
        return self.do("return phone.kept()")


@pytest.fixture
def environment() -> dict[str, str]:
    """Serves mode ``body``, which an app uses. By default its sign-in would be refused."""
    return THREE_MODES


@pytest.fixture
def phone(workspace: Path, site: Site, certificate) -> Iterator[Phone]:  # noqa: F811
    """The app in a process of its own. In a browser, the browser's cookies could hide that the app keeps no token."""
    pipe, program = subprocess.PIPE, workspace / "react-native" / "tests" / "phone.mjs"
    command, env = ["node", program, site.origin], node_environment(certificate)
    with subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, text=True) as process:
        yield Phone(process)
        process.stdin.close()


@pytest.fixture
def signed_in(phone, person) -> Phone:
    """The app after a sign-in to be remembered. Without one there would be no session to keep."""
    phone.sign_in(person)
    return phone


def test_the_session_goes_on_when_the_app_starts_again(signed_in, site, person):
    site.forward(EXPIRED)
    assert [signed_in.do(each) for each in (RESTART, ORDERS, "return phone.heard")] == [person.email, 200, []]
    assert site.reasons(person) == [""]


def test_a_lost_answer_is_recovered_by_the_same_token(signed_in, site, person):
    before = signed_in.kept["refresh"]
    site.forward(EXPIRED)
    with site.lose_answers("/api/auth/refresh"):
        signed_in.begin(ORDERS)
        site.do("import time\nwhile not wire.lost: time.sleep(.01)")
        # The new token has not arrived, so the one before is kept.
        assert site.generations(person) == [1]
    assert signed_in.end() == 200
    assert signed_in.kept["refresh"] != before
    assert site.reasons(person) == [""]


def test_a_lost_answer_is_recovered_after_the_app_was_ended(signed_in, site, person):
    site.forward(EXPIRED)
    with site.lose_answers("/api/auth/refresh"):
        signed_in.do("phone.session.fetch('/api/orders').catch(() => {})")
        site.do("import time\nwhile not wire.lost: time.sleep(.01)")
        signed_in.do("phone.start()")
    assert [signed_in.do(each) for each in (RESTORE, ORDERS)] == [person.email, 200]
    assert site.reasons(person) == [""]


def test_a_new_token_is_kept_before_it_is_used(signed_in, site, person):
    """If it cannot be kept, the old one is sent again. Otherwise the app's next start would end the session."""
    before = signed_in.kept["refresh"]
    site.forward(EXPIRED)
    signed_in.do("phone.lock(true); phone.answer = phone.session.fetch('/api/orders')")
    signed_in.do("await phone.until(() => phone.sent.filter(({ url }) => url.endsWith('/refresh')).length >= 2)")
    assert signed_in.kept["refresh"] == before
    assert site.generations(person) == [1]
    signed_in.do("phone.lock(false); phone.foreground()")
    assert signed_in.do("return (await phone.answer).status") == 200
    assert signed_in.kept["refresh"] != before
    assert site.reasons(person) == [""]


def test_an_app_starts_without_the_network(signed_in, person):
    assert signed_in.do("phone.offline(true);" + RESTART) == person.email


def test_a_sign_out_without_the_network_is_made_up_for(signed_in, site, person):
    left = "phone.offline(true); await phone.session.signOut(); return [phone.session.user, phone.heard]"
    assert signed_in.do(left) == [None, ["signin", "signout"]]
    assert site.reasons(person) == [""]
    assert signed_in.kept["left"]
    signed_in.do("phone.offline(false); phone.foreground(); await phone.until(() => !phone.kept().left)")
    assert site.reasons(person) == ["signed_out"]
    assert signed_in.do(RESTART) is None


def test_a_sign_out_wins_over_a_refresh_that_is_under_way(signed_in, site, person):
    site.forward(EXPIRED)
    site.hold_answers("/api/auth/refresh")
    signed_in.do("phone.answer = phone.session.fetch('/api/orders')")
    site.wait_until_held()
    signed_in.do("phone.offline(true); await phone.session.signOut(); phone.offline(false)")
    site.deliver()
    assert signed_in.do("return (await phone.answer).status") == 401
    assert "refresh" not in signed_in.kept
    signed_in.do("phone.foreground(); await phone.until(() => !phone.kept().left)")
    assert site.reasons(person) == ["signed_out"]


def test_a_session_that_has_ended_is_told_and_forgotten(signed_in, site, person):
    site.revoke(person)
    assert [signed_in.do(each) for each in (ORDERS, "return phone.heard")] == [401, ["signin", "expire"]]
    assert set(signed_in.kept) == {"device"}


def test_tokens_are_sent_to_no_other_origin(signed_in, site):
    origin = site.origin
    like_ours = f"{origin}@evil.test/api/orders", f"{origin}.evil.test/api/orders", f"{origin}\\@evil.test/"
    for url in ("https://evil.test/api/orders", "//evil.test/api/orders", *like_ours):
        signed_in.do("phone.sent.length = 0; phone.offline(true); await phone.session.fetch(given.url)", url=url)
        headers = signed_in.do("return phone.sent.map(({ headers }) => headers)")
        assert headers == [{}], url


def test_the_user_authenticates_again_for_a_request(signed_in, site, person):
    step_up = (
        "const proof = { method: 'password', answer: given.password };"
        "const stepUp = () => phone.session.send('POST', 'reauthenticate', proof).then(() => true);"
        "phone.start({ stepUp }); await phone.session.restore();"
        "return (await phone.session.fetch('/api/pay', { method: 'POST' })).status"
    )
    site.forward(7200)
    assert signed_in.do(step_up, password=person.password) == 200
