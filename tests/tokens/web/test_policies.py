"""The policies in the box."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.utils import translation

from tests.tokens.web.steps import begin
from tokens.sessions import Open, Refuse
from tokens.web.policies import confirmed_address
from tokens.web.sign_in_policy import Methods


def answer(confirmed: Any, actor: Any = None) -> Any:
    methods = Methods()
    methods.actor = actor
    return confirmed_address(None, SimpleNamespace(has_confirmed_address=confirmed), methods)


def test_a_confirmed_address_is_enough():
    assert answer(True) == answer(lambda: True) == Open()


@pytest.mark.parametrize("confirmed", [False, None, lambda: False], ids=["false", "none", "a method"])
def test_others_are_told_to_confirm(confirmed):
    refused = answer(confirmed)
    assert isinstance(refused, Refuse)
    with translation.override("de"):
        assert str(refused.reason) == "Bestätigen Sie Ihre E-Mail-Adresse, bevor Sie sich anmelden."
    assert answer(confirmed, actor=object()) == Open()


@pytest.mark.django_db
def test_a_user_model_that_does_not_say_it_opens_nothing(user, settings):
    settings.TOKENS = {**settings.TOKENS, "SIGN_IN_POLICY": "tokens.web.policies.confirmed_address"}
    assert begin(Client(raise_request_exception=False), user).status_code == 500


def test_methods_say_what_level_they_support():
    levels = [Methods(dict.fromkeys(names, 1)).acr for names in (["pwd"], ["pwd", "otp", "mfa"], [])]
    assert levels == ["aal1", "aal2", None]
