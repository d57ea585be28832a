"""The pages that explain agree with the code: their tables, their figures and their examples."""

import re
from typing import Any

import pytest
from django.contrib.auth.backends import ModelBackend
from django.core.checks import run_checks
from django.test import Client

from tests.browsers import ACCESS, login
from tests.docs.blocks import Block, block
from tests.docs.code import run
from tests.documents import PAGES, README, ROOT
from tokens.conf import codec
from tokens.protocol import refresh_tokens
from tokens.protocol.rotation import Decision

LIFETIMES = [
    block("docs/explanation/session-lifetimes.md", f"# With {which}:")
    for which in ("the limits of NIST", "limits of your own")
]
METHODS = block("docs/explanation/authentication-methods.md", "# backends.py")
MEASURED = (ROOT / "tests" / "benchmarks" / "results" / "README.md").read_text()


def runs_blocks() -> list[Block]:
    return [*LIFETIMES, METHODS]


class Passkeys(ModelBackend):
    """A backend that says in the words of the page what the user has proved."""

    def authenticate(self, request: Any, **given: Any) -> Any:
        if user := super().authenticate(request, **given):
            run(METHODS, user=user)
        return user


@pytest.mark.django_db
@pytest.mark.only_on("sqlite")
def test_a_backend_says_what_its_user_has_proved(user, settings):
    settings.AUTHENTICATION_BACKENDS = [f"{__name__}.{Passkeys.__name__}"]
    client = Client()
    login(client, user)
    assert codec().loads_expired(client.cookies[ACCESS].value).claims["amr"] == ["pop", "user", "mfa"]


@pytest.mark.django_db
@pytest.mark.only_on("sqlite")
@pytest.mark.parametrize("example", LIFETIMES, ids=["of NIST", "of your own"])
def test_the_examples_of_lifetimes_raise_no_warning(example, settings):
    settings.TOKENS = run(example)["TOKENS"]
    found = [message.id for message in run_checks()]
    assert {"tokens.W056", "tokens.W057", "tokens.E066"}.isdisjoint(found)


def test_the_protocol_has_each_decision_and_its_word():
    page = PAGES["explanation/protocol.md"]
    table = page.split("| what the server finds |")[1].split("\n\n")[0]
    assert set(re.findall(r"`([A-Z_]+)` \|", table)) == {decision.name for decision in Decision}
    words = " ".join(page.split("The words for the log")[1].split("\n\n")[0].split())
    assert [decision.value for decision in Decision if f"`{decision.value}`" not in words] == []


def test_the_protocol_has_the_bytes_of_a_refresh_token():
    rows = dict(re.findall(r"^\| ([a-z ]+) \| (\d+) \|", PAGES["explanation/protocol.md"], re.MULTILINE))
    sizes = {"key id": "KEY_ID_BYTES", "secret": "SECRET_BYTES", "tag": "TAG_BYTES"}
    assert {part: int(rows[part]) for part in sizes} == {
        part: getattr(refresh_tokens, name) for part, name in sizes.items()
    }
    characters = -(-sum(map(int, rows.values())) * 4 // 3)
    assert f"{characters} characters of base64url" in (refresh_tokens.__doc__ or "")


def test_the_comparison_has_the_measured_figures():
    ratios = {float(found) for found in re.findall(r"\((\d+\.\d\d)\)", MEASURED)}
    for text in (README, PAGES["explanation/comparison.md"]):
        named = {float(found) for found in re.findall(r"(\d+\.\d\d)\s+(?:times|with)", " ".join(text.split()))}
        assert named
        assert named <= ratios


def test_the_glossary_is_sorted_and_each_term_has_one_entry():
    terms = re.findall(r"^## (.+)$", PAGES["glossary.md"], re.MULTILINE)
    assert terms == sorted(set(terms), key=str.casefold)
