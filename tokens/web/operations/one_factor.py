"""A sign-in by one factor, with nothing before it. The answer itself says whose it is, as that of a passkey does.

The answer is verified in the transaction that opens the session, under the lock of the user's row. So a factor that is
removed meanwhile opens nothing. What a refused answer has written stays, such as an event. If the policy refuses the
sign-in, the answer has been used up all the same.

Nobody can guess such an answer. So wrong ones count for the client's network only, and not for the account: strangers
could otherwise keep its owner out.
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from tokens.conf import token_settings
from tokens.database.transactions import durable, writer
from tokens.models import RefreshToken
from tokens.service import throttles, users
from tokens.service.issuing import IssuedTokens
from tokens.service.user_rules import may_act
from tokens.service.users import UserChanged
from tokens.web import factors, methods, sign_in_policy
from tokens.web.django import django_session
from tokens.web.exchange import required_exchange
from tokens.web.http.client import client_of
from tokens.web.methods import Given
from tokens.web.operations import admission, session
from tokens.web.operations.admission import SessionToOpen
from tokens.web.operations.pending import WrongAnswer


@sensitive_variables()
def sign_in_by(
    request: HttpRequest,
    key: Any,
    verify: Callable[[Any], Given | None],
    *,
    mode: str | None = None,
    remember: bool = False,
    device_name: str = "",
) -> IssuedTokens:
    """Open a session for the user with this primary key, if ``verify`` returns what they have proved.

    ``key`` is None if the answer says nobody's. ``verify`` is called with the user, whose row is locked. ``mode`` is by
    default that of pages. The response carries the session's tokens. Raise `WrongAnswer`, `Throttled` after too many of
    this network, and `SignInRefused` if the policy refuses the user or asks for more.
    """
    exchange = required_exchange(request)
    client = client_of(request, exchange.device_token)
    tallies = throttles.of_networks("factor_network", client.ip)
    throttles.check(*tallies)
    alias, backend = writer(RefreshToken), django_session.default_backend()
    mode = mode or token_settings().mode_of_pages
    user: Any = None
    issued: IssuedTokens | None = None
    refused: sign_in_policy.SignInRefused | None = None
    try:
        with durable(alias) if key is not None else nullcontext():
            user = None if key is None else users.lock(alias, key)
            given = verify(user) if user is not None and may_act(user, backend) else None
            if given is not None:
                user.backend, proved = backend, methods.proved(given)
                try:
                    with admission.noting_refusal(
                        exchange, SessionToOpen(user, proved, mode, remember, device_name, backend)
                    ):
                        admitted = sign_in_policy.admit(request, user, proved)
                except sign_in_policy.SignInRefused as error:
                    refused = error  # Raised after the commit: the answer stays used.
                else:
                    issued = sign_in_policy.open_admitted(
                        admitted, client, mode=mode, remember=remember, device_name=device_name, backend=backend
                    )
    except UserChanged:
        issued = None
    if refused is not None:
        raise refused
    if issued is None:
        throttles.count(*tallies)
        if user is not None:
            factors.note_wrong(user, client)
        raise WrongAnswer
    session.sign_in(request, user, issued, backend)
    return issued
