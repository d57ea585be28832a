"""The forms of the pages about accounts. The service checks the rules for passwords, as for the API."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth import get_user_model
from django.contrib.auth.forms import AuthenticationForm, SetPasswordMixin
from django.contrib.auth.signals import user_login_failed
from django.core.validators import MaxLengthValidator
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from accounts import users
from accounts.addresses import MAX_ADDRESS, validate_new_address
from accounts.models import MAX_NAME, MAX_PASSWORD

if TYPE_CHECKING:
    from tokens.sessions import Factor  # The user model of `accounts` is used without the app `tokens`, too.

MAX_TOKEN = 1024
"""Characters of the token of a link. Those of this release have about 100, and those of earlier ones at most 500."""


class BoundedSignInForm(AuthenticationForm):
    """Django's form. A password that is too long is rejected without hashing it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password"].validators.append(MaxLengthValidator(MAX_PASSWORD))

    def clean(self) -> dict[str, Any]:
        try:
            return super().clean()
        except get_user_model().MultipleObjectsReturned:
            # A backend of the project ignores case, and several users have this name.
            credentials = {"username": self.cleaned_data["username"], "password": "********************"}
            user_login_failed.send(sender=__name__, credentials=credentials, request=self.request)
            raise self.get_invalid_login_error() from None


class AdminSignInForm(BoundedSignInForm, AdminAuthenticationForm):
    """The sign-in form of the admin."""


class SignInForm(BoundedSignInForm):
    error_messages = {**AuthenticationForm.error_messages, "invalid_login": _(users.no_such_account())}
    remember = forms.BooleanField(label=_("Remember me on this device"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["username"]
        if users.name_field() is None:
            field.widget = forms.EmailInput(attrs={"autofocus": True, "autocomplete": "username"})
        elif users.has_addresses():
            field.label = _("%(name)s or e-mail address") % {"name": field.label}
            field.widget.attrs["maxlength"] = max(MAX_ADDRESS, field.widget.attrs.get("maxlength") or 0)


def name_in(given: dict[str, Any]) -> str:
    """Return the user name in the cleaned data of a form, or "" if it does not ask for it."""
    field = users.name_field()
    return "" if field is None else given.get(field.name, "")


class _NamedForm(forms.Form):
    """Asks for the user name too, if it is not the e-mail address. The field has the name of USERNAME_FIELD."""

    is_name_required = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if (field := users.name_field()) is not None:
            self.fields[field.name] = forms.CharField(
                label=capfirst(field.verbose_name),
                help_text=field.help_text,
                required=self.is_name_required,
                max_length=min(field.max_length or MAX_NAME, MAX_NAME),
                widget=forms.TextInput(attrs={"autocomplete": "username"}),
            )
            self.order_fields([field.name, *self.fields])


class EmailForm(forms.Form):
    email = forms.EmailField(
        label=_("E-mail address"), max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )


class NewPasswordForm(SetPasswordMixin, forms.Form):  # type: ignore[type-arg]
    password1, password2 = SetPasswordMixin.create_password_fields(_("New password"), _("New password confirmation"))
    password2.help_text = ""

    def clean(self) -> dict[str, Any]:
        self.validate_passwords()
        return self.cleaned_data


class NewEmailForm(EmailForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].validators.append(validate_new_address)


class RegistrationForm(_NamedForm, NewEmailForm, NewPasswordForm):
    password1, password2 = SetPasswordMixin.create_password_fields()
    password2.help_text = ""
    field_order = ("email", "password1", "password2")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if users.name_field() is None:
            self.fields["email"].widget.attrs["autocomplete"] = "username"


class CodeInput(forms.PasswordInput):
    """The field for a code. As with a password, a wrong one is not shown again."""

    input_type = "text"


def _current_password(**attrs: Any) -> forms.CharField:
    return forms.CharField(
        label=_("Current password"),
        max_length=MAX_PASSWORD,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", **attrs}),
    )


class _Proof(forms.Form):
    """Asks for the current password, or for the answer to another factor of the account.

    ``factors`` are those of the account by their names. Those that no page can ask for are left out. ``scripted`` are
    those that a script answers, and ``needs_script`` is whether there is nothing else.
    """

    needs_script = False

    def __init__(self, *args: Any, factors: "Mapping[str, Factor]" = MappingProxyType({}), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sent = [factor for factor in factors.values() if factor.is_sent]
        self.scripted = [factor for factor in factors.values() if factor.needs_script and factor.is_on_pages]
        typed = [(name, factor.label or name) for name, factor in factors.items() if not factor.needs_script]
        choices = [*typed, *((factor.name, factor.label) for factor in self.scripted)]
        if not choices or [name for name, _label in choices] == ["password"]:
            return
        widget = forms.RadioSelect() if len(typed) > 1 else forms.HiddenInput()
        method = self.fields["method"] = forms.ChoiceField(
            label=_("Authenticate by"), choices=choices, initial=choices[0][0], widget=widget, required=False
        )
        if len(typed) > 1:
            method.widget.choices = typed
        field = self.fields["current_password"]
        if not typed:
            self.needs_script, field.widget = True, forms.HiddenInput()
            field.error_messages["required"] = _("Confirm that it is you.")
        elif [name for name, _label in typed] != ["password"]:
            names = [name for name, _label in typed]
            field.label = gettext("Password or code") if "password" in names else gettext("Code")
            field.widget.attrs["autocomplete"] = "off"
            if len(typed) == 1:
                field.label = capfirst(str(factors[names[0]].answer_label or typed[0][1]))
            if "password" not in names:
                field.widget = CodeInput(attrs={**field.widget.attrs, "autocomplete": "one-time-code"})
        self.order_fields(["method", *self.fields])

    def clean_method(self) -> str:
        return str(self.cleaned_data["method"] or self.fields["method"].initial)

    def add_error(self, field: Any, error: Any) -> None:
        """Show an error at the top of the form if its field is hidden."""
        super().add_error(None if self.needs_script and field == "current_password" else field, error)


def heading_of(factors: "Mapping[str, Factor]") -> str:
    """Return the heading of a page that asks for one of these factors."""
    return gettext("Enter your password again") if {*factors} <= {"password"} else gettext("Confirm that it is you")


class PasswordForm(_Proof):
    current_password = _current_password(autofocus=True)


class FactorForm(forms.Form):
    """The answer to a factor: a password, or a code, or what a script has got from the browser.

    ``trusted_for``: for how long the device can be trusted.
    """

    method = forms.CharField(widget=forms.HiddenInput)
    answer = forms.CharField(max_length=MAX_PASSWORD, strip=False)

    def __init__(self, *args: Any, factor: Any, trusted_for: timedelta | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.needs_script = factor.needs_script
        self.scripted = [factor] if factor.needs_script else []
        field = self.fields["answer"]
        field.label = _("Code") if factor.is_enrolment else capfirst(factor.answer_label or factor.label or factor.name)
        field.widget.attrs |= {"autofocus": True, "autocomplete": "one-time-code"}
        if factor.name == "password":
            field.widget = forms.PasswordInput(attrs={"autofocus": True, "autocomplete": "current-password"})
        if factor.needs_script:
            field.widget = forms.HiddenInput()
        self.initial["method"] = factor.name
        if trusted_for is not None:
            self.fields["trust_device"] = forms.BooleanField(label=_trust_label(trusted_for), required=False)

    def add_error(self, field: Any, error: Any) -> None:
        """Show an error at the top of the form if its field is hidden."""
        super().add_error(None if self.needs_script and field == "answer" else field, error)


def _trust_label(period: timedelta) -> str:
    if period < timedelta(days=1):
        return gettext("Do not ask for a code or a passkey on this device for some hours")
    text = ngettext(
        "Do not ask for a code or a passkey on this device for %d day",
        "Do not ask for a code or a passkey on this device for %d days",
        period.days,
    )
    return text % period.days


class NewEmailWithPasswordForm(_Proof, NewEmailForm):
    current_password = _current_password()


class PasswordChangeForm(PasswordForm, NewPasswordForm):
    field_order = ("current_password", "password1", "password2")


class FirstPasswordForm(_Proof, NewPasswordForm):
    current_password = _current_password()
    field_order = ("current_password", "password1", "password2")


class LinkForm(forms.Form):
    """The token of a link in a mail. The user submits it with a button, because programs also open links."""

    token = forms.CharField(max_length=MAX_TOKEN, widget=forms.HiddenInput)


class ConfirmRegistrationForm(_NamedForm, LinkForm, NewPasswordForm):
    """The password that was given with the registration, once, or a new one, twice.

    Without a user name the account gets the one that was registered.
    """

    is_name_required = False

    password1, password2 = SetPasswordMixin.create_password_fields(_("Password"), _("The same password again"))
    password1.widget.attrs["autocomplete"] = "current-password"
    password1.help_text = _("The password with which you have registered.")
    password2.required = False
    password2.help_text = _("Only if you choose another password now.")

    def clean(self) -> dict[str, Any]:
        return super().clean() if self.cleaned_data.get("password2") else self.cleaned_data


class PasswordResetForm(LinkForm, NewPasswordForm):
    pass


class DeletionForm(forms.Form):
    sure = forms.BooleanField(label=_("Delete my account permanently"))


class DeletionWithPasswordForm(_Proof, DeletionForm):
    current_password = _current_password()


class RenamingForm(PasswordForm):
    """Asks for the password, and keeps the name that was entered on the page before."""

    name = forms.CharField(required=False, strip=False, widget=forms.HiddenInput)
