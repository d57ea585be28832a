"""The forms of the pages about factors."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from django import forms
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from factors.models import MAX_REASON
from tokens.sessions import Factor, validate_device_name

MAX_CODE = 100
"""Characters of a code. A code has six, and people write blanks between them."""
MAX_NAME = 100
MAX_CREDENTIAL = 65536
"""Characters of the JSON of a new passkey."""
MAX_PASSWORD = 4096
"""Characters of a password. Longer ones are not hashed, because hashing a megabyte would take too long."""


class CodeInput(forms.PasswordInput):
    """The field for a code. As with a password, a wrong one is not shown again."""

    input_type = "text"


class ChangeForm(forms.Form):
    """A change of factors. ``asked`` are the factors of which it asks for one, by their names. Empty: none.

    ``scripted`` are those that a script answers, and ``needs_script`` is whether there is nothing else.
    """

    needs_script = False

    def __init__(self, *args: Any, asked: Mapping[str, Factor] = MappingProxyType({}), **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        self.sent = [factor for factor in asked.values() if factor.is_sent]
        self.scripted = [factor for factor in asked.values() if factor.needs_script]
        if not asked:
            return
        typed = [(name, factor.label or name) for name, factor in asked.items() if not factor.needs_script]
        choices = [*typed, *((factor.name, factor.label) for factor in self.scripted)]
        names = {name for name, _label in typed}
        if names == {"password"}:
            label = gettext("Current password")
        elif len(typed) == 1:
            label = capfirst(str(asked[typed[0][0]].answer_label or typed[0][1]))
        else:
            label = gettext("Password or code") if "password" in names else gettext("Code")
        method = self.fields["method"] = forms.ChoiceField(
            label=_("Authenticate by"),
            choices=choices,
            initial=choices[0][0],
            required=False,
            widget=forms.RadioSelect() if len(typed) > 1 else forms.HiddenInput(),
        )
        if len(typed) > 1:
            method.widget.choices = typed
        self.needs_script = not typed
        answer: forms.Widget = forms.HiddenInput()
        if "password" in names:
            complete = "current-password" if names == {"password"} else "off"
            answer = forms.PasswordInput(attrs={"autocomplete": complete})
        elif typed:
            answer = CodeInput(attrs={"autocomplete": "one-time-code"})
        self.fields["current_password"] = forms.CharField(
            label=label,
            max_length=MAX_PASSWORD,
            strip=False,
            widget=answer,
            error_messages={} if typed else {"required": _("Confirm that it is you.")},
        )

    def clean_method(self) -> str:
        return str(self.cleaned_data["method"] or self.fields["method"].initial)

    def add_error(self, field: Any, error: Any) -> None:
        """Show an error at the top of the form if its field is hidden."""
        super().add_error(None if self.needs_script and field == "current_password" else field, error)


class ResetForm(ChangeForm):
    """A reset of the factors of somebody else, by staff."""

    reason = forms.CharField(label=_("Reason"), max_length=MAX_REASON, help_text=_("The user gets a mail with it."))
    field_order = ("reason", "method", "current_password")


class RemovalForm(ChangeForm):
    end_others = forms.BooleanField(label=_("Sign out everywhere else"), required=False)


class PasskeyForm(RemovalForm):
    """A new passkey. A script fills in ``credential``."""

    name = forms.CharField(
        label=_("Name"),
        required=False,
        max_length=MAX_NAME,
        help_text=_(
            "If you leave it empty, it gets the name of its device or password manager, as far as it is known."
        ),
        validators=[validate_device_name],
    )
    credential = forms.CharField(max_length=MAX_CREDENTIAL, widget=forms.HiddenInput)
    field_order = ("name", "end_others", "method", "current_password")


class PasskeyNameForm(ChangeForm):
    name = forms.CharField(label=_("Name of the passkey"), max_length=MAX_NAME, validators=[validate_device_name])


class ConfirmationForm(RemovalForm):
    code = forms.CharField(
        label=_("Code"),
        max_length=MAX_CODE,
        help_text=_("The six digits that the app shows now."),
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True}),
    )
    field_order = ("code", "end_others", "method", "current_password")
