"""A backend that was removed from AUTHENTICATION_BACKENDS. Django signs out who has signed in by it."""

import pytest

from tests.tokens.service.holders import Holder
from tests.tokens.test_user_models import HERE, THEIRS, banned
from tokens.service import standing

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

BANS = f"{HERE}.Bans"


@pytest.mark.parametrize("left", [[THEIRS], [BANS], [THEIRS, BANS]], ids=["Django's", "one with rules", "both"])
def test_ends_its_sessions_at_the_next_refresh(user, settings, left):
    banned.clear()
    holder = Holder(user)
    holder.put_back(backend=f"{HERE}.Removed")
    settings.AUTHENTICATION_BACKENDS = left
    assert holder.is_refused()
    assert holder.ending == ("user_disabled", 1)
    assert standing.current(user.pk, f"{HERE}.Removed") is None


def test_leaves_sessions_alone_whose_backend_is_not_known(user, settings):
    holder = Holder(user)
    holder.put_back(backend="")
    settings.AUTHENTICATION_BACKENDS = [THEIRS]
    assert holder.granted()
