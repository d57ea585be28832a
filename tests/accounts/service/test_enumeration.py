"""No response to a registration or a reset shows whether there is an account, and neither do statements and hashing.

`test_email_change` tests this for a new address, `tests.tokens.api.test_sign_in` for a sign-in, and
`tests.attacks.test_timing` that a mail is composed for an unknown address as well.
"""

import pytest

from accounts.service.registration import MAX_PENDING
from tests.accounts.steps import NEW_PASSWORD, ask, events, outcome, seen, statements
from tests.factories import PASSWORD, UserFactory, pending
from tokens.models import SecurityEvent

pytestmark = pytest.mark.django_db

ACCOUNTS = {
    "unknown@example.org": None,
    "active@example.org": {},
    "off@example.org": {"is_active": False},
    "bare@example.org": {"password": None},
}
REGISTRATIONS = {"once@example.org": 1, "full@example.org": MAX_PENDING}
"""How many registrations of these addresses are pending."""
ADDRESSES = [*ACCOUNTS, *REGISTRATIONS]
UNKNOWN, ACTIVE, *_ = ACCOUNTS
REQUESTS = {
    # path: the kind of event, the hashing, the addresses that get a mail
    "register": (SecurityEvent.Kind.REGISTRATION, ["encode"], ADDRESSES),
    "password/reset": (SecurityEvent.Kind.PASSWORD_RESET, [], [ACTIVE]),
}


@pytest.mark.parametrize(("path", "expected"), REQUESTS.items(), ids=REQUESTS)
def test_the_answer_the_statements_and_the_hashing_are_the_same(api, send, hashed, clock, mailoutbox, path, expected):
    """The clock stands still, because the pages send the current second in the Expires header."""
    for email, fields in ACCOUNTS.items():
        if fields is not None:
            UserFactory(email=email, **fields)
    for email, count in REGISTRATIONS.items():
        for _ in range(count):
            pending(email)
    kind, hashing, reached = expected
    answers = {}
    for email in ADDRESSES:
        hashed.clear()
        data = {"email": email} | ({"password": NEW_PASSWORD} if path == "register" else {})
        answers[email] = (*statements(api, path, data, send), list(hashed))
    assert answers == dict.fromkeys(ADDRESSES, answers[ACTIVE])
    assert answers[ACTIVE][2] == hashing
    assert [message.to for message in mailoutbox] == [[email] for email in reached]
    users = [event.user and event.user.email for event in events(kind)]
    assert users == [email if ACCOUNTS.get(email) is not None else None for email in reached]


@pytest.mark.parametrize("email", [ACTIVE, UNKNOWN])
def test_a_bad_password_gets_the_same_error(api, send, email):
    UserFactory(email=ACTIVE)
    response = send(api, "register", {"email": email, "password": "password"})
    assert outcome(response) == "400 invalid password"
    assert response.content.decode().count("This password") == 1


def test_signing_in_before_the_address_is_confirmed_looks_like_a_wrong_password(api):
    pending("once@example.org")
    answers = [
        seen(ask(api, "login", {"email": email, "password": PASSWORD})) for email in ("once@example.org", UNKNOWN)
    ]
    assert answers[0] == answers[1]
