"""The guide for mobile apps: its commands and its client, at a real server."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.test_verifiers import Auth, bash
from tests.docs.blocks import Block, block, blocks
from tests.factories import PASSWORD, UserFactory
from tests.programs import completed
from tokens.models import RefreshToken

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.only_on("sqlite")]

PAGE = "docs/how-to/mobile.md"
SIGN_IN, ME, REFRESH, SIGN_OUT = COMMANDS = blocks(PAGE, "sh")
CLIENT = block(PAGE, "// client.mjs")
WALK = """
import { createClient } from "./client.mjs";

const { ORIGIN: origin, TOKEN } = process.env;
let stored = TOKEN;
let refreshes = 0;
let losing = false;
const real = globalThis.fetch;
globalThis.fetch = async (url, options) => {
  const response = await real(url, options);
  if (!String(url).endsWith("/refresh")) return response;
  refreshes += 1;
  if (losing) {
    losing = false;
    await response.arrayBuffer();
    throw new TypeError("The network is gone.");
  }
  return response;
};
const store = { read: async () => stored, write: async (token) => (stored = token) };
const client = createClient(origin, store);
const statuses = async (count) => {
  const sent = Array.from({ length: count }, () => client.send("/api/auth/me"));
  return (await Promise.all(sent)).map((response) => response.status);
};
const expired = () => new Promise((resolve) => setTimeout(resolve, Number(process.env.EXPIRED)));
const result = { first: await statuses(5), after_first: refreshes };
await expired();
result.again = await statuses(5);
result.after_again = refreshes;
await expired();
losing = true;
result.lost = await client.send("/api/auth/me").catch((error) => error.message);
result.recovered = await statuses(1);
result.stored = stored;
console.log(JSON.stringify(result));
"""
"""Sends requests with the page's client, and loses an answer that the server has given."""


def runs_blocks() -> list[Block]:
    return [*COMMANDS, CLIENT]


@pytest.fixture
def auth(request: pytest.FixtureRequest) -> Iterator[Auth]:
    """A real server, with the settings of the test. With one that the test plays, wrong commands would go unnoticed."""
    found = Auth(**getattr(request, "param", {}))
    yield found
    found.server.stop()


def signed_in(auth: Auth) -> Any:
    user = UserFactory()
    command = SIGN_IN.text.replace("ada@example.org", user.email).replace("…", PASSWORD)
    return bash(Block(PAGE, SIGN_IN.line, "sh", command), auth.origin)


def test_the_commands_sign_in_refresh_and_sign_out(auth):
    first = signed_in(auth)
    assert {"access_token", "refresh_token", "expires_in", "device_token"} <= set(first)
    assert bash(ME, auth.origin, ACCESS=first["access_token"])["user"] == first["user"]
    again = bash(REFRESH, auth.origin, REFRESH=first["refresh_token"])
    assert again["session"]["id"] == first["session"]["id"]
    token = again.get("refresh_token", first["refresh_token"])
    assert bash(SIGN_OUT, auth.origin, REFRESH=token) is None
    assert bash(REFRESH, auth.origin, REFRESH=token)["code"] == "session_ended"


@pytest.mark.parametrize("auth", [{"TOKENS_ACCESS_LIFETIME": "2"}], indirect=True, ids=["short-lived tokens"])
def test_the_client_refreshes_once_for_all_requests_and_survives_a_lost_answer(auth, tmp_path: Path):
    session = signed_in(auth)
    (tmp_path / "client.mjs").write_text(CLIENT.text)
    (tmp_path / "walk.mjs").write_text(WALK)
    env = {**os.environ, "ORIGIN": auth.origin, "TOKEN": session["refresh_token"], "EXPIRED": "2100"}
    result = json.loads(completed("node", "walk.mjs", cwd=tmp_path, env=env).stdout)
    assert (result["first"], result["again"], result["recovered"]) == ([200] * 5, [200] * 5, [200])
    assert (result["after_first"], result["after_again"]) == (1, 2)
    assert (result["lost"], result["stored"] != session["refresh_token"]) == ("The network is gone.", True)
    assert RefreshToken.objects.live().filter(pk=session["session"]["id"]).exists()
