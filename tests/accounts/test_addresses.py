"""Addresses: every spelling of one means one account, mail goes to the address that is stored, and collisions."""

import unicodedata
from io import StringIO

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet
from django.test import Client
from django.test.utils import isolate_apps

from accounts.addresses import MAX_ADDRESS, validate_new_address
from accounts.links import Purpose, make
from accounts.models import CanonicalAddress, Registration, UserManager
from tests.accounts.steps import ask, can_sign_in, confirm, outcome, statements
from tests.browsers import login
from tests.factories import PASSWORD, AdminFactory, User, UserFactory, pending

pytestmark = pytest.mark.django_db

ADDRESS = "ada@bücher.example"
SPELLINGS = {
    "upper case": "ADA@BÜCHER.EXAMPLE",
    "Punycode": "ada@xn--bcher-kva.example",
    "decomposed": unicodedata.normalize("NFD", ADDRESS),
    "full-width": "ada@ｂücher.example",
}
TO = ["ada@xn--bcher-kva.example"]
"""Where mail to ADDRESS goes: mail servers take domains in ASCII."""
STREET, WIDE_STREET = "ada@street.example", "ada@ｓtreet.example"
THIRD_STREET = "ada@ｓｔreet.example"
of_each_spelling = pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)


def written_by_sql(email, **fields) -> User:
    """Return a user whose row no model has saved."""
    user = User(email=email, **fields)
    user.set_password(PASSWORD)
    QuerySet(User).bulk_create([user])
    return user


def whom(spelling) -> User | None:
    return User.objects.at_address(spelling)


@pytest.fixture
def ada(db) -> User:
    """The account of ADDRESS. Without it each spelling is free, and one that is not recognised would go unnoticed."""
    return UserFactory(email=ADDRESS)


@pytest.fixture
def streets(db) -> list[User]:
    """Two accounts of one address, as older sites can have them. With one, a choice between them would go unnoticed."""
    users = [written_by_sql(STREET), written_by_sql(WIDE_STREET)]
    call_command("canonical_addresses", stdout=StringIO())
    return users


@isolate_apps("accounts")
def test_a_model_that_inherits_from_user_finds_its_own_users_by_its_own_manager(ada):
    class Staff(UserManager):
        def get_queryset(self):
            return super().get_queryset().filter(is_staff=True)

    class Person(User):
        objects = Staff()

        class Meta:
            app_label, proxy = "accounts", True

    assert Person.objects.at_address(ADDRESS) is None
    ada.is_staff = True
    ada.save()
    assert isinstance(Person.objects.get_by_natural_key(SPELLINGS["upper case"]), Person)


@of_each_spelling
class TestEverySpelling:
    def test_signs_in_to_the_account(self, ada, api, spelling):
        assert can_sign_in(api, spelling)

    def test_resets_its_password_with_a_mail_to_the_stored_address(self, ada, api, send, spelling, mailoutbox):
        assert outcome(send(api, "password/reset", {"email": spelling})) == "done"
        assert [message.to for message in mailoutbox] == [TO]
        assert spelling not in mailoutbox[0].body

    def test_cannot_be_registered_and_the_mail_goes_to_the_stored_address(self, ada, api, send, spelling, mailoutbox):
        assert outcome(send(api, "register", {"email": spelling, "password": PASSWORD})) == "done"
        assert [message.to for message in mailoutbox] == [TO]
        assert "It already has an account" in mailoutbox[0].body
        assert spelling not in mailoutbox[0].body
        assert not Registration.objects.exists()

    def test_cannot_become_the_address_of_another_account(self, ada, signed_in, user, spelling, mailoutbox):
        ask(signed_in, "email/change", {"email": spelling})
        assert [message.to for message in mailoutbox] == [TO, [user.email]]
        assert "token=" not in mailoutbox[0].body

    def test_cannot_be_given_to_another_account_by_any_writer(self, ada, user, spelling):
        user.email = spelling
        with pytest.raises(ValidationError, match="There is an account with this address"):
            user.full_clean()
        for write in (
            user.save,
            lambda: User.objects.create_user(spelling),
            lambda: User.objects.filter(pk=user.pk).update(email=spelling),
            lambda: User.objects.bulk_update([user], ["email"]),
            lambda: User.objects.bulk_create([User(email="new@example.org"), User(email=spelling)]),
        ):
            with pytest.raises(IntegrityError), transaction.atomic():
                write()
        assert whom(spelling) == ada
        assert User.objects.count() == 2

    def test_counts_with_the_others_in_the_number_of_mails(self, ada, throttled, clock, api, spelling, mailoutbox):
        for _ in range(3):
            for email in (ADDRESS, spelling):
                ask(api, "password/reset", {"email": email})
        assert len(mailoutbox) == 5

    def test_can_become_the_spelling_of_the_same_account(self, ada, api, spelling, mailoutbox):
        login(api, ada)
        if spelling.lower() != ADDRESS:
            ask(api, "email/change", {"email": spelling})
            token = mailoutbox[0].body.partition("?token=")[2].split()[0]
            assert outcome(confirm(api, token)) == "done"
        assert User.objects.get().email == spelling.lower()
        assert whom(ADDRESS) == ada


class TestANewAddress:
    BAD = {
        "a domain that UTS 46 refuses": "ada@xn--a.example",
        "a label that is no Punycode": "ada@xn--99999999999.de",
        "a canonical form that is too long": f"{'a' * 60}@{'﷼' * 63}.example",
    }

    @pytest.mark.parametrize("email", BAD.values(), ids=BAD)
    def test_is_an_error_if_it_can_have_no_canonical_form(self, api, signed_in, send, email):
        with pytest.raises(ValidationError):
            validate_new_address(email)
        assert outcome(send(api, "register", {"email": email, "password": PASSWORD})) == "400 invalid email"
        assert outcome(send(signed_in, "email/change", {"email": email})) == "400 invalid email"
        with pytest.raises(ValidationError):
            User(email=email, password="!").full_clean()

    @pytest.mark.parametrize("email", BAD.values(), ids=BAD)
    def test_stays_and_is_found_in_its_exact_spelling_if_it_is_stored_already(self, api, email, mailoutbox):
        user = User.objects.create_user(email, PASSWORD)
        user.full_clean()
        user.save()
        assert can_sign_in(api, email)
        if email.isascii():
            ask(api, "password/reset", {"email": email})
            assert [message.to for message in mailoutbox] == [[email]]


class TestACollision:
    def test_leaves_each_account_its_exact_spelling_and_another_one_finds_nobody(self, api, streets):
        assert [whom(STREET), whom(WIDE_STREET)] == streets
        assert whom(THIRD_STREET) is None
        assert can_sign_in(api, STREET)
        assert not can_sign_in(api, THIRD_STREET)

    def test_admits_no_third_account(self, streets):
        with pytest.raises(ValidationError, match="There is an account with this address"):
            User(email=THIRD_STREET, password="!").full_clean()
        with pytest.raises(IntegrityError), transaction.atomic():
            UserFactory(email=THIRD_STREET)
        link = make(Purpose.REGISTRATION, pending(THIRD_STREET).pk)
        assert outcome(confirm(Client(), link)) == "400 invalid_token"

    def test_does_not_keep_an_account_from_being_saved(self, streets):
        for user in streets:
            user.is_active = False
            user.full_clean()
            user.save()
        assert list(User.objects.values_list("is_active", flat=True)) == [False, False]

    def test_is_listed_by_a_command(self, streets, ada, capsys):
        call_command("canonical_addresses")
        lines = capsys.readouterr().out.splitlines()
        assert lines == [
            STREET,
            f"  {streets[0].pk}  {STREET}  active, last sign-in: never",
            f'  {streets[1].pk}  {WIDE_STREET} ("ada@\\uff53treet.example")  active, last sign-in: never',
        ]

    @pytest.mark.parametrize("how", ["deletes", "renames"])
    def test_ends_when_an_operator_decides_and_runs_the_command_again(self, streets, capsys, how):
        if how == "deletes":
            streets[1].delete()
        else:
            streets[1].email = "another@example.org"
            streets[1].save()
        call_command("canonical_addresses")
        assert capsys.readouterr().out == ""
        assert whom(THIRD_STREET) == whom(WIDE_STREET) == streets[0]


class TestAWriterThatDoesNotCallTheModel:
    def test_makes_an_account_that_is_found_in_its_exact_spelling_until_the_table_is_repaired(self, db):
        user = written_by_sql(ADDRESS)
        assert whom(ADDRESS) == user
        assert whom(SPELLINGS["Punycode"]) is None
        call_command("canonical_addresses")
        assert whom(SPELLINGS["Punycode"]) == user

    def test_moves_an_address_and_its_spellings_do_not_find_the_old_account(self, ada):
        QuerySet(User).filter(pk=ada.pk).update(email="eve@example.org")
        assert [whom(spelling) for spelling in (ADDRESS, *SPELLINGS.values())] == [None] * 5
        assert whom("eve@example.org") == ada
        newcomer = UserFactory(email=ADDRESS)
        assert [whom(spelling) for spelling in (ADDRESS, *SPELLINGS.values())] == [newcomer] * 5

    def test_exchanges_two_addresses_and_each_spelling_finds_the_account_that_has_it_or_nobody(self, ada, user):
        QuerySet(User).filter(pk=ada.pk).update(email="x@example.org")
        QuerySet(User).filter(pk=user.pk).update(email=ADDRESS)
        assert whom(ADDRESS) == user
        assert whom(SPELLINGS["Punycode"]) is None
        call_command("canonical_addresses")
        assert whom(SPELLINGS["Punycode"]) == user

    def test_deletes_an_account_whose_address_is_free_then(self, ada):
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM accounts_user")
        assert whom(ADDRESS) is None
        assert whom(SPELLINGS["Punycode"]) is None
        newcomer = UserFactory(email=SPELLINGS["Punycode"])
        assert whom(ADDRESS) == newcomer

    def test_makes_a_collision_which_the_command_finds(self, ada, capsys):
        other = written_by_sql(SPELLINGS["Punycode"])
        assert (whom(ADDRESS), whom(other.email)) == (ada, other)
        call_command("canonical_addresses")
        assert other.email in capsys.readouterr().out
        assert (whom(ADDRESS), whom(other.email), whom(SPELLINGS["full-width"])) == (ada, other, None)

    def test_exchanges_two_addresses_in_one_call_of_the_model(self, ada, user):
        ada.email, user.email = "x@example.org", ADDRESS
        QuerySet(User).filter(pk=ada.pk).update(email="y@example.org")
        User.objects.bulk_update([user], ["email"])
        assert whom(SPELLINGS["Punycode"]) == user


def test_a_user_name_is_looked_up_by_one_statement_whether_there_is_an_account_or_not(ada, api):
    found = [
        statements(api, "login", {"email": email, "password": "wrong"})
        for email in (ADDRESS, *SPELLINGS.values(), "nobody@bücher.example")
    ]
    assert found == found[:1] * len(found)


def test_mail_goes_to_the_domain_itself_and_not_to_another_one_that_older_rules_take_it_for(api, mailoutbox):
    UserFactory(email="ada@straße.example")
    for email in ("ada@straße.example", "ada@strasse.example"):
        ask(api, "password/reset", {"email": email})
    (message,) = mailoutbox
    assert message.message()["To"] == "ada@xn--strae-oqa.example"


def test_deleting_an_account_frees_its_address(ada):
    ada.delete()
    assert not CanonicalAddress.objects.exists()
    UserFactory(email=SPELLINGS["Punycode"])


def test_the_admin_shows_an_error_for_an_address_that_another_account_has(api, ada):
    admin = AdminFactory()
    login(api, admin)
    given = {"email": SPELLINGS["Punycode"], "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    response = api.post("/admin/accounts/user/add/", given)
    assert "There is an account with this address." in response.content.decode()
    assert User.objects.count() == 2


def test_the_longest_address_has_a_canonical_form():
    email = f"{'a' * 64}@{'.'.join(['b' * 60] * 3)}.example"[:MAX_ADDRESS]
    assert UserFactory(email=email) == whom(email.upper())
