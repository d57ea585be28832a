"""Authentication methods: their text in the row, when there are two factors, and which level they support."""

import pytest

from tokens.conf.methods import DEFAULT_LEVELS, words
from tokens.protocol.methods import REGISTERED, acr_of, added, dumps, loads, names_in

REGISTRY = (
    "face", "fpt", "geo", "hwk", "iris", "kba", "mca", "mfa", "otp", "pin", "pop", "pwd", "rba", "retina", "sc", "sms",
    "swk", "tel", "user", "vbm", "wia",
)  # fmt: skip
"""The registry of RFC 8176 as IANA published it in October 2024."""


def test_the_names_are_those_of_the_registry():
    assert sorted(REGISTERED) == sorted(REGISTRY)


@pytest.mark.parametrize(
    "methods",
    [{}, {"pwd": 1893495600}, {"pwd": 7, "own.method_1-b": 8, "mfa": 0}],
    ids=["no method", "one method", "several methods"],
)
def test_the_text_is_read_as_it_was_written(methods):
    text = dumps(methods)
    assert (loads(text), names_in(text)) == (methods, list(methods))


TOGETHER = {
    # what is proved at once, whether it is of two factors
    "a password": (["pwd"], False),
    "a password and a code": (["pwd", "otp"], True),
    "a password and a PIN": (["pwd", "pin"], False),
    "a code and a text message": (["otp", "sms"], False),
    "a key with presence": (["pop", "user"], False),
    "a key and a fingerprint": (["hwk", "fpt"], True),
    "a password and a security question": (["pwd", "kba"], False),
    "a password at a known place": (["pwd", "geo", "rba"], False),
    "a method of the project": (["badge", "pwd"], False),
    "nothing": ([], False),
}


@pytest.mark.parametrize(("names", "are_two"), TOGETHER.values(), ids=TOGETHER)
def test_two_factors_are_more_than_two_methods(names, are_two):
    expected = {**dict.fromkeys(names, 7), **({"mfa": 7} if are_two else {})}
    assert loads(added("", dict.fromkeys(names, 7))) == expected
    one_after_the_other = ""
    for name in names:
        one_after_the_other = added(one_after_the_other, {name: 7})
    assert loads(one_after_the_other) == expected


def test_the_time_of_two_factors_is_that_of_the_second():
    text = added(added("", {"pwd": 1}), {"otp": 5})
    assert loads(text) == {"pwd": 1, "otp": 5, "mfa": 5}
    assert loads(added(text, {"pwd": 9})) == {"pwd": 9, "otp": 5, "mfa": 5}
    assert loads(added(text, {"pwd": 9, "otp": 9})) == {"pwd": 9, "otp": 9, "mfa": 9}


def test_what_says_that_it_is_two_factors_has_its_own_time():
    assert loads(added("", {"pop": 3, "user": 3, "mfa": 3})) == {"pop": 3, "user": 3, "mfa": 3}
    assert loads(added("pwd:1", {"pop": 3, "user": 3, "mfa": 3})) == {"pwd": 1, "pop": 3, "user": 3, "mfa": 3}


LEVELS = {
    "nothing": ("", None),
    "a password": ("pwd", "aal1"),
    "a code": ("otp", "aal1"),
    "two factors": ("pwd otp mfa", "aal2"),
    "a passkey": ("pop user mfa", "aal2"),
    "a synced passkey": ("pop user mfa swk", "aal2"),
    "a security key with a PIN": ("hwk user pin mfa", "aal3"),
    "a security key alone": ("hwk user", "aal1"),
    "a place": ("geo", None),
    "a security question": ("kba", None),
}


@pytest.mark.parametrize(("names", "level"), LEVELS.values(), ids=LEVELS)
def test_the_level_is_the_highest_that_the_set_supports(names, level):
    assert acr_of(names.split(), DEFAULT_LEVELS) == level


def test_each_word_comes_once():
    assert words(["pop", "user", "mfa", "swk"]) == ["passkey"]
    assert words(["pwd", "otp", "mfa"]) == ["password", "code of an app"]
    assert words(["badge"]) == ["badge"]
    assert words([]) == []


def test_every_value_of_the_registry_has_a_word_or_needs_none():
    assert [name for name in REGISTRY if words([name]) == [name]] == ["face"]
