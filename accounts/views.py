"""The page to sign in. It is Django's own view: the session is opened by what listens to Django's signal."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpResponse
from django.utils.translation import gettext_lazy as _


class SignInForm(AuthenticationForm):
    remember = forms.BooleanField(label=_("Remember me on this device"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].widget = forms.EmailInput(attrs={"autofocus": True, "autocomplete": "username"})


class SignIn(LoginView):
    form_class = SignInForm
    template_name = "sign_in.html"

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        if form.cleaned_data["remember"]:
            # Django's word for it: a session that does not end with the browser.
            self.request.session.set_expiry(settings.SESSION_COOKIE_AGE)
        return response
