"""What `accounts` and `factors` import besides `tokens.sessions`. It works without the app `tokens` in INSTALLED_APPS.

`tokens.sessions` imports the models of `tokens`. This module imports no model, and migrations can import it too.
"""

from tokens.database.statements import Read
from tokens.service.addresses import (
    address_field,
    address_of,
    are_found_by_the_model,
    holder,
    holders,
    no_such_account,
)
from tokens.service.canonical_names import InvalidDomain, canonical, canonical_domain
from tokens.service.reporting import Report, counted, is_confirmed

__all__ = [
    "InvalidDomain",
    "Read",
    "Report",
    "address_field",
    "address_of",
    "are_found_by_the_model",
    "canonical",
    "canonical_domain",
    "counted",
    "holder",
    "holders",
    "is_confirmed",
    "no_such_account",
]
