"""``manage.py encrypt_factors``, after SECRET_KEY was changed."""

import pytest
from django.core.management import CommandError

from factors.models import Totp
from factors.service import totp
from tests.factors.steps import code, set_up
from tests.tokens.management.steps import output_of

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

ANOTHER = "another secret for tests that is long enough to be taken for a real one"


def run(*arguments):
    return output_of("encrypt_factors", *arguments).partition(" in ")[0]


def test_it_encrypts_what_is_under_an_older_key(signed_in, user, clock, settings):
    secret, _ = set_up(signed_in, clock.now)
    before = bytes(Totp.objects.get().secret)
    assert run() == "0 secrets encrypted again"
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], ANOTHER
    assert run("--dry-run") == "1 secret would be encrypted again"
    assert bytes(Totp.objects.get().secret) == before
    assert run() == "1 secret encrypted again"
    assert run() == "0 secrets encrypted again"
    assert bytes(Totp.objects.get().secret) != before
    settings.SECRET_KEY_FALLBACKS = []
    assert totp.verify(user, code(secret, clock.now, 1))


def test_it_fails_if_a_key_is_missing_and_leaves_the_row(signed_in, clock, settings):
    set_up(signed_in, clock.now)
    before = Totp.objects.values().get()
    settings.SECRET_KEY = ANOTHER
    with pytest.raises(CommandError, match="1 secret cannot be read"):
        run()
    assert Totp.objects.values().get() == before
