"""How many mails somebody may ask for: of a network, and to one address."""

from django.http import HttpRequest

from tokens.service import events, throttles
from tokens.service.canonical_names import canonical
from tokens.service.throttles import Tally
from tokens.web.http.client import client_of


def throttle(request: HttpRequest, what: str, email: str) -> bool:
    """Count a request for a mail. ``what`` is "register" or "reset", as in the setting THROTTLES.

    All spellings of an address count together. Return False if there were too many for this address. The caller then
    sends no mail, and answers as if it had.
    Raise `Throttled` if there were too many from the client's network.
    """
    client = client_of(request)
    throttles.take(*throttles.of_networks(f"{what}_network", client.ip))
    return may_send(request, what, canonical(email))


def may_send(request: HttpRequest, what: str, name: str) -> bool:
    """Count a mail for what ``name`` names. Return False if there were too many. ``what`` is that of `throttle`."""
    try:
        throttles.take(Tally(f"{what}_account", name))
    except throttles.Throttled as error:
        events.log("throttled", name=error.name, wait=error.wait, ip=client_of(request).ip)
        return False
    return True
