"""Changes that could give the account to somebody else need the strongest factor that it has, used lately."""

from typing import Any

from django.http import HttpRequest

from tokens import sessions


def require(request: HttpRequest, user: Any, **proof: Any) -> None:
    """Raise `StrongerRequired` if the user has something stronger than a password, and has not just used it.

    ``proof``: see `sessions.change_account`. A factor that it names counts.
    """
    if found := sessions.factors.missing(request, user, authenticated=proof.get("authenticated")):
        raise sessions.factors.StrongerRequired(found)
