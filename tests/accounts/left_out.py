"""What is left out where the tests of accounts run with Django's own user model, and why.

    pytest --ds=tests.settings_auth_user -m quick tests/accounts

`tests.accounts.test_left_out` checks both lists.
"""

_OUR_MODEL = "It tests what only our own model does: "
_NO_MODEL = "It says nothing about users."

NOT_RUN = {
    "test_addresses.py": _OUR_MODEL + "the table of canonical addresses, which its writers keep.",
    "test_models.py": _OUR_MODEL + "its manager and its fields, and its writers in several databases.",
    "test_saving.py": _OUR_MODEL + "it saves only what was changed, and its admin tells the user.",
    "test_createsuperuser.py": _OUR_MODEL + "the command asks only for the address and the password.",
    "test_migrations.py": "It tests migrations of its rows, and such a project has none.",
    "test_delivery.py": _NO_MODEL,
    "test_next.py": _NO_MODEL,
}
"""Files, and the reason of each."""

ONLY_WITH_NAMES = {"test_user_names.py": "Our own model has no user name beside the address."}
"""Files that run only with Django's own user model."""
_BY_STAFF = _OUR_MODEL + "its admin class, which sends mails when staff change an address."
FAIL = {
    "test_confirming.py::TestTheLinkOfEachMail::test_does_not_work_if_another_spelling_has_an_account_by_now": (
        _OUR_MODEL + "it compares stored addresses by their canonical spelling."
    ),
    "test_registration.py::test_an_account_that_was_not_registered_counts_as_confirmed": (
        _OUR_MODEL + "it knows when an address was confirmed."
    ),
    **{
        f"test_email_change.py::TestAChangeByStaff::{name}": _BY_STAFF
        for name in (
            "test_takes_effect_and_is_recorded_with_the_name_of_who_did_it",
            "test_is_told_to_the_old_address_with_the_link_of_the_alarm",
            "test_is_to_be_confirmed_by_the_new_address",
            "test_can_be_confirmed_later_by_asking_for_another_mail",
            "test_of_something_else_sends_nothing",
        )
    },
}
"""Single tests, and the reason of each. They run, and each case of them has to fail."""
