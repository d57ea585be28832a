"""The pages that change the user's password and address, delete the account, or ask for the password before.

Those that change the address and delete the account ask for the current password only if the request has no refresh
token of its session. They ask for a stronger factor if the user has one, and has not just used it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.contrib.auth.views import redirect_to_login
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from accounts import forms, login_urls, users
from accounts.next_page import OwnSite
from accounts.service import deletion, emails, passwords
from accounts.views import AccountForm, Text, careful
from tokens import sessions


@careful
class SignedInForm(AccountForm):
    """A form for signed-in users. An anonymous user is sent to the page to sign in, and then to ``here``.

    ``recent``: whether a recent sign-in is required. ``asks_password``: whether the form asks for the current password,
    which is as good as a recent sign-in.
    """

    owner: Any
    recent: ClassVar[bool] = False
    asks_password: bool = False

    @property
    def here(self) -> str:
        return self.request.get_full_path()

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not (name := request.POST.get("send")):
            return super().post(request, *args, **kwargs)
        sessions.factors.begin(request, self.owner, name)
        form = self.get_form_class()(**{**self.get_form_kwargs(), "data": None, "initial": request.POST.dict()})
        return self.render_to_response(self.get_context_data(form=form, is_sent=True))

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        user = users.find_active(request.user.pk)
        if user is None:
            return redirect_to_login(self.here, login_urls.login_url())
        if self.recent and not self.asks_password and not sessions.is_recent(request):
            return redirect_to_login(self.here, "sign-in-again")
        self.owner = user
        try:
            return super().dispatch(request, *args, **kwargs)
        except sessions.SessionEnded:
            return redirect_to_login(self.here, login_urls.login_url())


class SignInAgain(OwnSite, SignedInForm):
    form_class = forms.PasswordForm
    button, next_page = _("Continue"), "your-devices"
    heading: Any = _("Enter your password again")

    @property
    def text(self) -> Text:  # type: ignore[override]
        """Return why the page asks, which also follows a view that requires a level or a very recent authentication."""
        if self._level or sessions.is_recent(self.request):
            return _("This page needs one more proof that it is you.")
        return _("You signed in some time ago. Before you go on, show that it is still you.")

    @property
    def action(self) -> str:
        """The URL to which the form is sent. It keeps the level, for the page after a wrong answer."""
        return f"{self.request.path}?{urlencode({'acr': self._level})}" if self._level else self.request.path

    @property
    def _level(self) -> str:
        return self.request.GET.get("acr", "")

    @cached_property
    def factors(self) -> dict[str, Any]:
        """The factors of the account. If a page requires a level (``acr``), only those that are enough for it."""
        return sessions.factors_for(self.request, self._level)

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "factors": self.factors}

    @property
    def here(self) -> str:
        return self.get_success_url()

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        self.heading = forms.heading_of(self.factors)
        return super().get_context_data(next=self.get_redirect_url(), **kwargs)

    def carry_out(self, given: dict[str, Any]) -> None:
        passwords.reauthenticate(self.request, self.owner, given["current_password"], given.get("method", "password"))


class OwnAccountForm(SignedInForm):
    """A form that changes the user's own account."""

    recent = True


class ProvenForm(OwnAccountForm):
    """A form that asks for the current password too, if the request has no refresh token of its session.

    A user who has something stronger than a password, and has not just used it, is asked for that (``missing``).
    """

    form_with_password: type[Form]
    missing: Mapping[str, sessions.Factor] = MappingProxyType({})

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        if request.user.is_authenticated:
            self.missing = sessions.factors.missing(request, request.user)
        # The page that asks again takes any factor. It leads here only if each of them is enough.
        is_led = bool(self.missing) and not sessions.is_recent(request)
        is_led = is_led and {*self.missing} == {*sessions.factors.of_user(request.user)}
        self.asks_password = (bool(self.missing) and not is_led) or not sessions.has_refresh_token(request)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        # `_ask_for_password` has shown the field.
        self.asks_password = self.asks_password or "current_password" in request.POST
        return super().post(request, *args, **kwargs)

    def get_form_class(self) -> type[Form]:
        return self.form_with_password if self.asks_password else super().get_form_class()

    def get_form_kwargs(self) -> dict[str, Any]:
        given = super().get_form_kwargs()
        if not self.asks_password:
            return given
        return {**given, "factors": self.missing or sessions.factors.of_user(self.owner)}

    def proof(self, given: dict[str, Any]) -> dict[str, Any]:
        if not self.asks_password:
            return {}
        method = given.get("method", "password")
        known = passwords.authenticated(self.request, self.owner, given["current_password"], method)
        # What was missing counts for the session, so that the next page does not ask for another code.
        if self.missing and method in self.missing and not sessions.reauthenticate(self.request, known):
            raise sessions.SessionEnded
        return {"authenticated": known}

    def form_valid(self, form: Any) -> HttpResponse:
        try:
            return super().form_valid(form)
        except (sessions.RefreshTokenRequired, sessions.factors.StrongerRequired):
            return self._ask_for_password()

    def _ask_for_password(self) -> HttpResponse:
        """Show the form again: the refresh token is not valid, or the password or a factor was changed meanwhile."""
        self.asks_password, self.missing = True, sessions.factors.missing(self.request, self.owner)
        form = self.get_form()
        if form.is_valid():
            form.add_error("current_password", passwords.wrong(form.cleaned_data))
        return self.form_invalid(form)


class ChangePassword(ProvenForm):
    """A user without a password sets the first one. The proof is then the same as for a change of the address."""

    form_class, form_with_password = forms.NewPasswordForm, forms.FirstPasswordForm
    heading, button, done, blamed = _("Change your password"), _("Change"), "password-changed", "password1"
    text = _("You stay signed in here, and are signed out everywhere else.")

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        user: Any = request.user
        self.asks_password = self.asks_password and user.is_authenticated and not user.has_usable_password()

    @property
    def is_first(self) -> bool:
        return not self.owner.has_usable_password()

    def get_form_kwargs(self) -> dict[str, Any]:
        return super().get_form_kwargs() if self.is_first else super(ProvenForm, self).get_form_kwargs()

    def get_form_class(self) -> type[Form]:
        return super().get_form_class() if self.is_first else forms.PasswordChangeForm

    def carry_out(self, given: dict[str, Any]) -> None:
        if self.is_first:
            passwords.set_first(self.request, self.owner, given["password1"], **self.proof(given))
        else:
            passwords.change(self.request, self.owner, given["current_password"], given["password1"])


class ChangeEmail(ProvenForm):
    form_class, form_with_password = forms.NewEmailForm, forms.NewEmailWithPasswordForm
    heading, button, done, blamed = _("Change your e-mail address"), _("Change"), "mail-sent", "email"
    is_offered = users.has_addresses()
    text = _("We send a link to the new address. Your address changes when you open the link and confirm.")

    def carry_out(self, given: dict[str, Any]) -> None:
        emails.ask_for_change(self.request, self.owner, given["email"], **self.proof(given))


class DeleteAccount(ProvenForm):
    form_class, form_with_password = forms.DeletionForm, forms.DeletionWithPasswordForm
    heading, button, done, is_final = _("Delete your account"), _("Delete"), "account-deleted", True
    text = _("You will be signed out on all devices. The account cannot be restored.")

    def carry_out(self, given: dict[str, Any]) -> None:
        deletion.delete(self.request, **self.proof(given))
