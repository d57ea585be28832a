"""Policies for the setting SIGN_IN_POLICY. `tokens.contrib.allauth_policy` is one for django-allauth.

A project that needs more than one of them calls them from a policy of its own.
"""

from typing import Any

from django.utils.translation import gettext_lazy as _

from tokens.web.sign_in_policy import Open, Refuse


def confirmed_address(request: Any, user: Any, methods: Any) -> Open | Refuse:
    """Refuse users whose address is not confirmed: ``user.has_confirmed_address`` says it, an attribute or a method.

    An impersonation is not refused. Users of `accounts` need no such policy, because an account begins when its address
    is confirmed.
    """
    found = user.has_confirmed_address
    is_confirmed = found() if callable(found) else found
    if is_confirmed or methods.actor is not None:
        return Open()
    return Refuse(_("Confirm your e-mail address before you sign in."))
