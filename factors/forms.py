"""The forms of the pages about factors."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from django import forms
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from factors.models import MAX_REASON
from tokens.sessions import Factor

MAX_CODE = 100
"""Characters of a code. A code has six, and people write blanks between them."""
MAX_PASSWORD = 4096
"""Characters of a password. Longer ones are not hashed, because hashing a megabyte would take too long."""


class ChangeForm(forms.Form):
    """A change of factors. ``asked`` are the factors of which it asks for one, by their names. Empty: none."""

    def __init__(self, *args: Any, asked: Mapping[str, Factor] = MappingProxyType({}), **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        self.sent = [factor for factor in asked.values() if factor.is_sent]
        if not asked:
            return
        choices = [(name, factor.label or name) for name, factor in asked.items()]
        if {*asked} == {"password"}:
            label = gettext("Current password")
        elif len(choices) == 1:
            label = capfirst(str(choices[0][1]))
        else:
            label = gettext("Password or code") if "password" in asked else gettext("Code")
        self.fields["method"] = forms.ChoiceField(
            label=_("Authenticate by"),
            choices=choices,
            initial=choices[0][0],
            required=False,
            widget=forms.RadioSelect() if len(choices) > 1 else forms.HiddenInput(),
        )
        complete = "current-password" if {*asked} == {"password"} else "off"
        self.fields["current_password"] = forms.CharField(
            label=label,
            max_length=MAX_PASSWORD,
            strip=False,
            widget=forms.PasswordInput(attrs={"autocomplete": complete}),
        )


class ResetForm(ChangeForm):
    """A reset of the factors of somebody else, by staff."""

    reason = forms.CharField(label=_("Reason"), max_length=MAX_REASON, help_text=_("The user gets a mail with it."))
    field_order = ("reason", "method", "current_password")


class RemovalForm(ChangeForm):
    end_others = forms.BooleanField(label=_("Sign out everywhere else"), required=False)


class ConfirmationForm(RemovalForm):
    code = forms.CharField(
        label=_("Code"),
        max_length=MAX_CODE,
        help_text=_("The six digits that the app shows now."),
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True}),
    )
    field_order = ("code", "end_others", "method", "current_password")
