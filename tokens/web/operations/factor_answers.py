"""A signed-in user answers one of their factors, before a sensitive change.

What `answered` returns stands for what `django.contrib.auth.authenticate` returns for a right password: the view passes
it to `tokens.web.operations.session.reauthenticate`, or as ``authenticated`` to
`tokens.web.operations.session.change_account`.
"""

from typing import Any

from django.contrib.auth import get_user_model
from django.views.decorators.debug import sensitive_variables

from tokens.database.transactions import writer
from tokens.service import queries
from tokens.web import factors, methods
from tokens.web.django import django_session
from tokens.web.exchange import current_id, refuse_impersonation
from tokens.web.http.client import client_of


@sensitive_variables()
def answered(request: Any, name: str, answer: Any) -> Any:
    """Return the user of a request who has answered this factor right, or None.

    The row was read before the answer was verified, so that a change of the password meanwhile is noticed. Raise
    `Throttled` and `Busy`, and `ImpersonationRefused` in an impersonation.
    """
    refuse_impersonation(request)
    model: Any = get_user_model()
    user = model._base_manager.using(writer(model)).filter(pk=request.user.pk).first()
    if user is None or not user.is_active:
        return None
    proved = factors.verify(request, user, name, answer)
    if proved is None:
        if not factors.is_by_itself(name):
            factors.note_wrong(user, client_of(request))
        return None
    methods.note(request, user, proved)
    session_id = current_id(request)
    user.backend = (session_id and queries.backend_of(session_id)) or django_session.default_backend()
    return user
