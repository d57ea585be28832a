"""The pages about accounts: Django forms on plain pages, which call `accounts.service` as the API does.

The page to sign in is Django's own view: the session is opened by what listens to Django's signal. Pages that change
an account ask for a recent sign-in, and lead through the page to sign in and back.
"""

from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.views import LoginView, redirect_to_login
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import FormView, TemplateView

from accounts import forms
from accounts.links import InvalidLink
from accounts.models import User
from accounts.service import addresses, alarm, deletion, passwords, registration
from tokens import sessions

Text = str | Promise


class SignIn(LoginView):
    form_class = forms.SignInForm
    template_name = "sign_in.html"

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        if form.cleaned_data["remember"]:
            # Django's word for it: a session that does not end with the browser.
            self.request.session.set_expiry(settings.SESSION_COOKIE_AGE)
        return response


class Notice(TemplateView):
    """A page that says what was done, or what to do next."""

    template_name = "notice.html"
    heading: Text = ""
    text: Text = ""


# What a view has committed must stay so, and mail goes out after it, whatever ATOMIC_REQUESTS says.
_careful = method_decorator([transaction.non_atomic_requests, never_cache, sensitive_post_parameters()], "dispatch")


@_careful
class AccountForm(FormView):  # type: ignore[type-arg]
    """A form about an account. ``carry_out`` does it; what it finds not valid is said of the field ``blamed``."""

    template_name = "account_form.html"
    heading: ClassVar[Text]
    text: ClassVar[Text] = ""
    button: ClassVar[Text]
    done: ClassVar[str]
    blamed: ClassVar[str | None] = None
    bad_link: ClassVar[Text] = _("This link is not valid any more, or never was. Ask for a new one.")

    def carry_out(self, given: dict[str, Any]) -> None:
        raise NotImplementedError

    def form_valid(self, form: Any) -> HttpResponse:
        try:
            self.carry_out(form.cleaned_data)
        except ValidationError as error:
            form.add_error(self.blamed, error)
        except InvalidLink:
            form.add_error(None, self.bad_link)
        except passwords.WrongPassword:
            form.add_error("current_password", _("This is not your current password."))
        else:
            return super().form_valid(form)
        return self.form_invalid(form)

    def get_success_url(self) -> str:
        return reverse(self.done)


@_careful
class OwnAccountForm(AccountForm):
    """A form about one's own account: for whoever has signed in lately."""

    owner: User

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        user = User.objects.for_decision().filter(pk=request.user.pk, is_active=True).first()
        if user is None or not sessions.is_recent(request):
            return redirect_to_login(request.get_full_path())
        self.owner = user
        try:
            return super().dispatch(request, *args, **kwargs)
        except passwords.SessionEnded:
            return redirect_to_login(request.get_full_path())


class LinkFormView(AccountForm):
    """A page that a link in a mail leads to. Looking at it does nothing; its button does."""

    def get_initial(self) -> dict[str, Any]:
        return {"token": self.request.GET.get("token", "")}


class Register(AccountForm):
    form_class = forms.RegistrationForm
    heading, button, done, blamed = _("Register"), _("Register"), "mail-sent", "password1"

    def carry_out(self, given: dict[str, Any]) -> None:
        registration.register(self.request, given["email"], given["password1"])


class ConfirmEmail(LinkFormView):
    form_class = forms.LinkForm
    heading, button, done = _("Confirm your e-mail address"), _("Confirm"), "email-confirmed"

    def carry_out(self, given: dict[str, Any]) -> None:
        addresses.confirm(self.request, given["token"])


class ChangeEmail(OwnAccountForm):
    form_class = forms.EmailForm
    heading, button, done, blamed = _("Change your e-mail address"), _("Change"), "mail-sent", "email"
    text = _("We send a link to the new address. The change happens when you confirm it there.")

    def carry_out(self, given: dict[str, Any]) -> None:
        addresses.ask_for_change(self.request, self.owner, given["email"])


class ChangePassword(OwnAccountForm):
    form_class = forms.PasswordChangeForm
    heading, button, done, blamed = _("Change your password"), _("Change"), "password-changed", "password1"
    text = _("You stay signed in here, and are signed out everywhere else.")

    def carry_out(self, given: dict[str, Any]) -> None:
        passwords.change(self.request, self.owner, given["current_password"], given["password1"])


class ResetPassword(AccountForm):
    form_class = forms.EmailForm
    heading, button, done = _("Reset your password"), _("Send a link"), "mail-sent"

    def carry_out(self, given: dict[str, Any]) -> None:
        passwords.ask_for_reset(self.request, given["email"])


class ConfirmPasswordReset(LinkFormView):
    form_class = forms.PasswordResetForm
    heading, button, done, blamed = _("Choose a new password"), _("Set the password"), "password-reset", "password1"
    text = _("You will be signed out everywhere.")

    def carry_out(self, given: dict[str, Any]) -> None:
        passwords.reset(self.request, given["token"], given["password1"])


class Alarm(LinkFormView):
    form_class = forms.LinkForm
    heading, button, done = _("This was not me"), _("Sign out everywhere"), "alarm-raised"
    text = _("Everybody who is signed in to your account will be signed out, on every device, you too.")
    bad_link = _("This link is not valid any more, or never was. Choose a new password: it signs everybody out, too.")

    def carry_out(self, given: dict[str, Any]) -> None:
        alarm.raise_alarm(self.request, given["token"])


class DeleteAccount(OwnAccountForm):
    form_class = forms.DeletionForm
    heading, button, done = _("Delete your account"), _("Delete"), "account-deleted"

    def carry_out(self, given: dict[str, Any]) -> None:
        deletion.delete(self.request, self.owner)
