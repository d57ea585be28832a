"""The forms of the pages about factors."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

MAX_CODE = 100
"""Characters of a code. A code has six, and people write blanks between them."""
MAX_PASSWORD = 4096
"""Characters of a password. Longer ones are not hashed, because hashing a megabyte would take too long."""


class ChangeForm(forms.Form):
    """A change of factors. ``asks_password``: whether it asks for the current password."""

    def __init__(self, *args: Any, asks_password: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        if asks_password:
            self.fields["current_password"] = forms.CharField(
                label=_("Current password"),
                max_length=MAX_PASSWORD,
                strip=False,
                widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
            )


class RemovalForm(ChangeForm):
    end_others = forms.BooleanField(label=_("Sign out everywhere else"), required=False)


class ConfirmationForm(RemovalForm):
    code = forms.CharField(
        label=_("Code"),
        max_length=MAX_CODE,
        help_text=_("The six digits that the app shows now."),
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True}),
    )
    field_order = ("code", "end_others", "current_password")
