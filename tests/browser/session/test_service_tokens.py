"""The block of the guide by which a page gets a token for services, in a real page."""

import base64
import json

import pytest

from tests.browser.session.worlds import Tab, World
from tests.browser.sites import THREE_MODES
from tests.docs.blocks import Block, blocks

pytestmark = [pytest.mark.exhaustive, pytest.mark.parametrize("mode", ["cookie", "body"], indirect=True)]

[BLOCK] = blocks("docs/how-to/verify-access-tokens.md", "js")[1:]
SERVICES = "https://api.example.org"


def runs_blocks() -> list[Block]:
    return [BLOCK]


@pytest.fixture
def world(mode, sites) -> World:
    """A site whose services have an audience of their own. Without it the endpoint answers 404."""
    site = sites(TOKENS_SERVICE_AUDIENCE=SERVICES, **THREE_MODES)
    return World(mode, site, site)


def test_a_page_gets_a_token_for_services(world, context, person):
    tab: Tab = world.tab(context)
    tab.sign_in(person)
    token, seconds = tab.page.evaluate(f"async () => {{ {BLOCK.text} return [access_token, expires_in]; }}")
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["aud"] == SERVICES
    assert 0 < seconds <= 600
