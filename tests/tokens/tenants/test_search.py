"""A search through all short histories of two tenants in one process, whose sessions have the same id.

Each step presents a token of one tenant at one of the two, or revokes a session by another process. A model says what
the answer must be: a token is good at its own tenant only, until its own session is revoked.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import product
from typing import Any, NamedTuple

import pytest
from django.db import transaction

from tests.browsers import ACCESS, REFRESH
from tests.tokens.tenants.conftest import Site
from tests.tokens.tenants.schemas import FIRST, NAMES, SECOND, in_schema
from tokens.conf import tenants
from tokens.models import RefreshToken
from tokens.protocol import refresh_tokens
from tokens.service import acknowledgements, issuing, revocation_feed
from tokens.service.revocation import revoke_all

pytestmark = [pytest.mark.django_db, pytest.mark.only_on("postgresql"), pytest.mark.long]


class Step(NamedTuple):
    """``kind``: what is presented, or "revoke". ``of``: whose token or session. ``at``: where it is presented."""

    kind: str
    of: str
    at: str


REVOKED = [Step("revoke", name, name) for name in NAMES]
STEPS = [Step(*step) for step in product(("access", "refresh"), NAMES, NAMES)] + REVOKED
ALL_STEPS = [*STEPS, *(Step("bearer", *places) for places in product(NAMES, NAMES))]


@pytest.fixture
def tokens(site: Site, clock: Any) -> dict[str, tuple[str, str]]:
    """The access and refresh tokens of each tenant. Both sessions have the same id, the same secret, the same user."""
    site.signed_in(FIRST)
    site.copy()
    found = {}
    for name in NAMES:
        with in_schema(name), tenants.entered(name):
            row = RefreshToken.objects.get()
            # The same secret in both schemas: only the keys and the claim keep the tokens apart.
            secret = b"sixteen bytes ok"
            RefreshToken.objects.update(secret_digest=refresh_tokens.RefreshToken(row.id, secret, 0).digest)
            text, _ = issuing.access_token(row, site.user, 0, datetime.now(UTC))
            found[name] = text, issuing.refresh_token(row, secret)
    return found


def ask(site: Site, tokens: dict[str, tuple[str, str]], step: Step, clock: Any) -> int | None:
    """Take one step, and return the status of the answer."""
    access, refresh = tokens[step.of]
    browser = site.browser(step.at)
    if step.kind == "revoke":
        with in_schema(step.of):
            revoke_all(RefreshToken.objects.live(), RefreshToken.Reason.ENDED_BY_STAFF)
        clock.forward(2)
        return None
    if step.kind == "bearer":
        return browser.get("/api/auth/me", headers={"Authorization": f"Bearer {access}"}).status_code
    if step.kind == "access":
        browser.cookies[ACCESS] = access
        return browser.get("/api/auth/me").status_code
    browser.cookies[REFRESH] = refresh
    return browser.post("/api/auth/refresh", content_type="application/json").status_code


def search(histories: Iterable[tuple[Step, ...]], site: Site, tokens: dict[str, tuple[str, str]], clock: Any) -> None:
    """Take all of these histories, each in a process that has just started."""
    for history in histories:
        revocation_feed.feed_of.cache_clear()
        acknowledgements.forget()
        live = dict.fromkeys(NAMES, True)
        with transaction.atomic():
            for step in history:
                status = ask(site, tokens, step, clock)
                if step.kind == "revoke":
                    live[step.of] = False
                else:
                    is_good = step.of == step.at and live[step.of]
                    assert status == (200 if is_good else 401), (history, step, status)
                assert site.revoked() == {name: int(not live[name]) for name in NAMES}, (history, step)
            transaction.set_rollback(True)
        clock.forward(-2 * sum(step.kind == "revoke" for step in history))


def test_no_short_history_lets_a_token_in_elsewhere_or_ends_anothers_session(site, tokens, clock):
    search(product(STEPS, repeat=2), site, tokens, clock)


@pytest.mark.exhaustive
def test_no_longer_history_does(site, tokens, clock):
    search(product(ALL_STEPS, repeat=3), site, tokens, clock)


@pytest.mark.parametrize("forget", [lambda: None, revocation_feed.feed_of.cache_clear], ids=["same", "new process"])
def test_without_the_hook_a_token_is_good_at_the_other_tenant(forget: Callable[[], None], without_hook):
    """What the check W054 warns of. If this fails, the two tests above prove nothing."""
    browser = without_hook.signed_in(FIRST)
    without_hook.copy()
    forget()
    other = without_hook.browser(SECOND)
    other.cookies[ACCESS], other.cookies[REFRESH] = browser.cookies[ACCESS].value, browser.cookies[REFRESH].value
    assert other.get("/api/auth/me").status_code == 200
    assert other.post("/api/auth/refresh", content_type="application/json").status_code == 200
