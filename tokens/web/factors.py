"""Factors: the ways in which a user of this site proves who they are (the setting FACTORS).

A sign-in that needs more than one, and a reauthentication, ask for them by their names. A project adds its own: a
subclass of `Factor`, by its dotted path. `Password` is there already.

Before an answer is verified, it is counted: a right answer after too many wrong ones is refused too, with `Throttled`.
Only a few answers are possible, so the limits are for a day (RFC 4226 section 7.3, SP 800-63B-4 section 3.2.2). Answers
from one of the owner's known devices have a count of their own (`tokens.web.attempts`). So somebody who has the
password cannot keep the owner out of these. All answers count, from all other devices and networks together.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.auth import REDIRECT_FIELD_NAME
from django.utils.functional import Promise
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from tokens.conf import NOBODY, token_settings
from tokens.database.transactions import clock, writer
from tokens.hashers import MAX_PASSWORD
from tokens.models import SecurityEvent
from tokens.protocol.access_tokens import instant
from tokens.protocol.methods import MULTIPLE, beyond_knowledge, is_strong, loads
from tokens.service import events, queries, required_factors, throttles
from tokens.service.client import Client
from tokens.service.opening import NOTHING, Proved
from tokens.web import methods
from tokens.web.attempts import authenticate, tallies_of_factor
from tokens.web.exchange import exchange_of
from tokens.web.methods import Given

__all__ = [
    "Factor",
    "Password",
    "StrongerRequired",
    "are_asked_for",
    "begin",
    "bound_to",
    "is_known",
    "is_required_of",
    "known",
    "label_of",
    "missing",
    "names",
    "of_user",
    "offered",
    "page_after_sign_in",
]
"""What other apps may use, as `tokens.sessions.factors`."""


class StrongerRequired(Exception):
    """A change of factors needs an answer to a stronger one first. ``offered`` are those that are enough, by name."""

    def __init__(self, offered: Mapping[str, "Factor"]) -> None:
        super().__init__(*offered)
        self.more = {"offered": [*offered]}


class Factor:
    """One way in which users prove who they are. There is one object for each entry of FACTORS."""

    name: str = ""
    """What the API calls it: ``password``, ``totp``, ``recovery_code``, ``passkey``."""
    label: str | Promise = ""
    """What pages call it."""
    answer_label: str | Promise = ""
    """What pages call the answer, if that is not the same: the code of an app. "": the same."""
    proves: frozenset[str] = frozenset()
    """The authentication methods that an answer proves. A sign-in that has them is not asked for this factor."""
    needs_script: bool = False
    """Whether an answer needs what `begin` returns. Nobody can type it: a page needs `template`, with a script."""
    template: str = ""
    """The template that a form includes, in the place of a field, as ``factor.template``. Its script sets the field
    ``method`` and the field for the answer (``answer`` or ``current_password``), and submits the form. "": none."""
    sign_in_template: str = ""
    """The template that the page to sign in includes, if a user can sign in by this factor and nothing else."""
    hint_template: str = ""
    """The template that the forms of a sign-in on pages include. Its script says in a hidden field what the browser can
    do, for `page_after_sign_in`. "": none."""
    is_sent: bool = False
    """Whether `begin` sends the user something, such as a code. Pages have a button for it."""
    is_last_resort: bool = False
    """Whether it is offered only to accounts that have no other factor."""
    is_enrolment: bool = False
    """Whether an answer sets a factor up. Such a one is no factor of an account. It is offered only at the sign-in of a
    user who lacks a factor that REQUIRED_FACTORS asks for, and ``proves`` what the new factor proves."""
    is_throttled_by_itself: bool = False
    """Whether `verify` counts answers. Otherwise they are counted before it is called."""

    @property
    def is_on_pages(self) -> bool:
        """Whether pages can ask for it: users can type the answer, or a template has a script for it."""
        return not self.needs_script or bool(self.template)

    def is_available(self, user: Any) -> bool:
        """Return whether this account has the factor."""
        raise NotImplementedError

    def begin(self, request: Any, user: Any) -> Mapping[str, Any] | None:
        """Return what a client needs before it can answer, as JSON (the options of a passkey). None: nothing."""
        return None

    def page_after_sign_in(self, request: Any, user: Any) -> str | None:
        """Return the URL of a page that a user is led to who has just signed in on a page, such as an offer.

        That page leads to the URL in ``?next=``. None: there is no such page.
        """
        return None

    def verify(self, request: Any, user: Any, answer: Any) -> Given | None:
        """Return the methods that the answer proves, or the time of each by its name. If it is wrong, return None.

        ``answer`` is what a client has sent: any JSON, and not what the factor expects.
        """
        raise NotImplementedError


class Password(Factor):
    """The password, which the backends in AUTHENTICATION_BACKENDS verify and throttle as at a sign-in."""

    name = "password"
    label = _("password")
    proves = frozenset({"pwd"})
    is_throttled_by_itself = True

    def is_available(self, user: Any) -> bool:
        return bool(user.has_usable_password())

    @sensitive_variables()
    def verify(self, request: Any, user: Any, answer: Any) -> Given | None:
        if not isinstance(answer, str) or not 0 < len(answer) <= MAX_PASSWORD:
            return None
        known = authenticate(request, username=user.get_username(), password=answer)
        return None if known is None or known.pk != user.pk else [*methods.of_sign_in(request, known)]


def of_user(user: Any, *, at_sign_in: bool = False) -> dict[str, Factor]:
    """Return the factors that this account has by their names, in the order of FACTORS.

    A sign-in (``at_sign_in``) has none of last resort.
    """
    known = (factor for factor in token_settings().known_factors if not factor.is_enrolment)
    found = {factor.name: factor for factor in known if factor.is_available(user)}
    usual = {name: factor for name, factor in found.items() if not factor.is_last_resort}
    return usual if at_sign_in else usual or found


def strong(user: Any) -> dict[str, Factor]:
    """Return the factors of this account that are enough for REQUIRED_FACTORS. One that does not say what it proves may
    be one of them.
    """
    return {name: factor for name, factor in of_user(user, at_sign_in=True).items() if may_be_strong(factor)}


def is_required_of(user: Any) -> bool:
    """Return whether REQUIRED_FACTORS asks for a factor of this user."""
    return required_factors.is_required_of(user)


def may_be_strong(factor: Factor | type[Factor]) -> bool:
    """Return whether such a factor is enough for REQUIRED_FACTORS, or does not say what it proves."""
    is_named = not factor.is_enrolment and not factor.is_last_resort
    return is_named and (not factor.proves or is_strong(factor.proves))


def enrolments(user: Any) -> dict[str, Factor]:
    """Return, by name, the factors that set one up at a sign-in. Empty if the user needs none, or has a strong one."""
    known = [factor for factor in token_settings().known_factors if factor.is_enrolment]
    if not known or not required_factors.is_required_of(user) or strong(user):
        return {}
    return {factor.name: factor for factor in known if factor.is_available(user)}


def offered(request: Any, user: Any) -> list[str]:
    """Return the names of the factors that this account has, in the order of FACTORS.

    Those of last resort are left out if the request has no session, as at a sign-in.
    """
    exchange = exchange_of(request)
    return [*of_user(user, at_sign_in=exchange is None or exchange.access is None)]


def known() -> list[Factor]:
    """Return the factors of this site, in the order of FACTORS, whether an account has them or not."""
    return [*token_settings().known_factors]


def page_after_sign_in(request: Any, user: Any, target: str) -> str:
    """Return the URL that a user is led to after a sign-in on a page: ``target``, or first a page of a factor."""
    pages = (factor.page_after_sign_in(request, user) for factor in token_settings().known_factors)
    page = next(filter(None, pages), None)
    if page is None:
        return target
    return f"{page}{'&' if '?' in page else '?'}{urlencode({REDIRECT_FIELD_NAME: target})}"


def bound_to(request: Any) -> UUID | None:
    """Return the id of the session that an answer in this request is for. A challenge is bound to it.

    It is the one of the request, or the one that its pending sign-in opens, or the idle one that it reopens. None: the
    request has none of these, and its client signs in from the beginning.
    """
    exchange = exchange_of(request)
    if exchange is None:
        return None
    if exchange.pending_session is not None:
        return exchange.pending_session
    if exchange.access is not None:
        return exchange.access.session_id
    return None if exchange.reopenable is None else exchange.reopenable.id


def is_known(name: str) -> bool:
    """Return whether there is a factor of this name in FACTORS."""
    return any(factor.name == name for factor in token_settings().known_factors)


def label_of(name: str) -> str | Promise:
    """Return what pages call a factor. Return its name if there is none in FACTORS."""
    return next((factor.label for factor in token_settings().known_factors if factor.name == name), name)


def names() -> list[str]:
    """Return the names of the factors in FACTORS, also if one of them is none."""
    return [getattr(import_string(path), "name", "") for path in token_settings().factors]


def are_asked_for() -> bool:
    """Return whether a setting can make a sign-in ask for a second factor."""
    found = token_settings()
    return bool(found.sign_in_policy) or found.required_factors != NOBODY


def begin(request: Any, user: Any, name: str, *, enrols: bool = False) -> Mapping[str, Any] | None:
    """Return what a client needs before it can answer. None: nothing, or the account does not have this factor.

    ``enrols``: it may be one of `enrolments`.
    """
    factor = _named(user, name, enrols=enrols)
    return None if factor is None else factor.begin(request, user)


@sensitive_variables()
def verify(request: Any, user: Any, name: str, answer: Any, *, enrols: bool = False) -> Proved | None:
    """Return what the answer to a factor proves, with how long ago. None: it is wrong, or there is no such factor.

    ``enrols`` as in `begin`. Raise `Throttled` after too many answers, and `Busy` if too many passwords are being
    hashed.
    """
    factor = _named(user, name, enrols=enrols)
    if factor is None or not factor.is_throttled_by_itself:
        throttles.take_exactly(*tallies_of_factor(request, user))
    given = None if factor is None else factor.verify(request, user, answer)
    return None if given is None else methods.proved(given)


def _named(user: Any, name: str, *, enrols: bool) -> Factor | None:
    return of_user(user).get(name) or (enrolments(user).get(name) if enrols else None)


def missing(request: Any, user: Any, *, authenticated: Any = None, proved: Proved = NOTHING) -> dict[str, Factor]:
    """Return the factors of which the user has to answer one before a change of factors. Empty: that is done.

    A user who has a factor that proves more than knowledge must have used one of that kind within REAUTHENTICATION_AGE.
    The session's row says whether they have, or ``authenticated``, the user whom `tokens.sessions.answered` has
    returned, or ``proved``, what the caller knows.
    """
    strong = {name: factor for name, factor in of_user(user).items() if beyond_knowledge(factor.proves)}
    if not strong:
        return {}
    exchange = exchange_of(request)
    access = exchange.access if exchange is not None else None
    session = queries.session_of(access) if access is not None else None
    age, known = token_settings().reauthentication_age, [proved]
    if session is not None:
        known.append({name: session.now - instant(at) for name, at in loads(session.methods).items()})
    if authenticated is not None:
        known.append(methods.of_sign_in(request, authenticated))
    recent = {name for found in known for name, ago in found.items() if ago <= age}
    # The session has `mfa` anew when a password is added to a code of yesterday.
    demanded = frozenset[str]().union(*(beyond_knowledge(factor.proves) for factor in strong.values()))
    is_enough = bool(recent & demanded) or (MULTIPLE in recent and bool(beyond_knowledge(recent)))
    return {} if is_enough else strong


def is_by_itself(name: str) -> bool:
    """Return whether this factor counts its answers itself, and writes the events about wrong ones."""
    return any(factor.name == name and factor.is_throttled_by_itself for factor in token_settings().known_factors)


def note_wrong(user: Any, client: Client) -> None:
    """Write a security event, as after a wrong password. The client knows the password, or is signed in."""
    now = clock(writer(SecurityEvent))
    events.write_attempt(events.new(SecurityEvent.Kind.SIGN_IN_FAILED, now, client, user_id=user.pk, reason="factor"))
