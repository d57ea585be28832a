"""The pages about accounts: Django forms that call `accounts.service`, as the API does.

The page to sign in is Django's own view. `tokens` opens the session when Django sends its signal. Pages that change an
account require a recent sign-in. Otherwise the user enters the password again, in the same session, and comes back.
"""

from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LoginView, LogoutView
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, resolve_url
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.generic import FormView, TemplateView

from accounts import forms, links, users
from accounts.links import WHAT_LINKS_DID, InvalidLink, Purpose, UsedLink
from accounts.next_page import LandingPage
from accounts.service import alarm, emails, passwords, registration
from tokens import sessions

Text = str | Promise


_PLAIN_LABELS = {"label_suffix": ""}


@method_decorator(sensitive_variables(), "dispatch")
class SignIn(LandingPage, LoginView):
    form_class = forms.SignInForm
    template_name = "accounts/sign_in.html"
    heading, button = _("Sign in"), _("Sign in")

    @property
    def text(self) -> Text:
        """Return why the user is here. The text is the same for every end of a session. The mail says which it was."""
        is_led_here = self.get_redirect_url() or self.request.path != reverse("sign-in")
        is_known = is_led_here and sessions.has_signed_in_before(self.request)
        if sessions.idle_lacks_factor(self.request):
            return _("Your account needs one more step to go on. Enter your password first.")
        if sessions.idle_user(self.request) is not None:
            return _("Your session was not used for a while. Enter your password to go on.")
        return _("Your session has ended. Sign in again.") if is_known else ""

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), **_PLAIN_LABELS}

    def get_form(self, form_class: Any = None) -> Any:
        form = super().get_form(form_class)
        idle = sessions.idle_user(self.request)
        if idle is not None:
            form.fields["username"].initial = idle.get_username()
        if idle is not None or not sessions.may_remember():
            del form.fields["remember"]
        if any(factor.sign_in_template for factor in sessions.factors.known()):
            form.fields["username"].widget.attrs["autocomplete"] = "username webauthn"
        return form

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        # With ``is_authenticated``, a deleted user would be redirected between this page and the previous one for ever.
        if sessions.is_live(request):
            return HttpResponseRedirect(self.get_success_url())
        return super().get(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        offers = {
            "can_register": users.can_register(),
            "can_reset": users.has_addresses(),
            "factors": sessions.factors.known(),
        }
        return super().get_context_data(**offers, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        if sessions.reopen(self.request, form.get_user()):
            return HttpResponseRedirect(self.get_success_url())
        self._remember(form)
        super().form_valid(form)
        self._remember(form)  # The first session may have been somebody else's.
        return self.lead_on()

    def _remember(self, form: Any) -> None:
        """Let Django's session, and a pending sign-in, end with the browser or not, as the user has chosen.

        If the page does not offer the choice, the project's SESSION_EXPIRE_AT_BROWSER_CLOSE decides.
        """
        if "remember" in form.fields:
            self.request.session.set_expiry(settings.SESSION_COOKIE_AGE if form.cleaned_data["remember"] else 0)


class SignOut(LogoutView):
    def get_default_redirect_url(self) -> str:
        # Without LOGOUT_REDIRECT_URL, Django's view shows a page of the admin.
        return resolve_url(settings.LOGOUT_REDIRECT_URL or "signed-out")


@login_not_required
def to_change_password(request: HttpRequest) -> HttpResponse:
    """Redirect to the page to change the password (W3C, "A Well-Known URL for Changing Passwords")."""
    return redirect("change-password")


@method_decorator(login_not_required, "dispatch")
class Notice(TemplateView):
    """A page with a message about what was done, or what to do next."""

    template_name = "accounts/notice.html"
    heading: Text = ""
    text: Text = ""


class SignedOut(Notice):
    heading = _("You are signed out")
    text = _("To use your account, sign in again.")

    @method_decorator(never_cache)
    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        # A bookmark must not tell a signed-in user that they are signed out.
        return redirect("your-devices") if sessions.is_live(request) else super().get(request, *args, **kwargs)


# Even with ATOMIC_REQUESTS, changes are committed before the mail about them is sent.
careful = method_decorator(
    [transaction.non_atomic_requests, never_cache, sensitive_post_parameters(), sensitive_variables()], "dispatch"
)


@careful
@method_decorator(login_not_required, "dispatch")
class AccountForm(FormView):  # type: ignore[type-arg]
    """A form about an account. ``carry_out`` does the work. Its `ValidationError` is shown at the field ``blamed``.

    Answers 404 unless it `is_offered`, which some are not if the project's users have no e-mail address.
    """

    template_name = "accounts/account_form.html"
    heading: Text
    text: ClassVar[Text] = ""
    button: ClassVar[Text]
    done: ClassVar[str]
    blamed: ClassVar[str | None] = None
    username: str = ""
    """The user name that password managers are told, if the form asks for a password and the user is not signed in."""
    is_offered: bool = True
    bad_link: ClassVar[Text] = _("This link is not valid. Request a new one.")

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not self.is_offered:
            raise Http404
        return super().dispatch(request, *args, **kwargs)

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), **_PLAIN_LABELS}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**{"username": self.username, **kwargs})

    def carry_out(self, given: dict[str, Any]) -> None:
        raise NotImplementedError

    def form_valid(self, form: Any) -> HttpResponse:
        try:
            self.carry_out(form.cleaned_data)
        except ValidationError as error:
            form.add_error(None if hasattr(error, "error_dict") else self.blamed, error)
        except InvalidLink:
            form.add_error(None, self.bad_link)
        except registration.UnknownPassword:
            form.add_error("password2", _("You have registered with another password. To choose this one, repeat it."))
        except passwords.WrongPassword:
            form.add_error("current_password", passwords.wrong(form.cleaned_data))
        else:
            return self.finished()
        return self.form_invalid(form)

    def finished(self) -> HttpResponse:
        """Return the response after `carry_out`."""
        return HttpResponseRedirect(self.get_success_url())

    def get_success_url(self) -> str:
        return reverse(self.done)


@careful
@method_decorator(login_not_required, "dispatch")
class LinkFormView(AccountForm):
    """A page that a link in a mail leads to. Only its button has an effect.

    The token moves from the URL to Django's session, and the browser is redirected, so that the token is neither in the
    address bar nor in the history. If the link cannot be used, the page has no form. If it has been used, the page says
    what it did, also after a double click.
    """

    purposes: ClassVar[tuple[Purpose, ...]]

    @property
    def token(self) -> str:
        """The token of the link, or the empty string."""
        in_session = self.request.session.get(self._entry, "")
        return str(self.request.POST.get("token") or self.request.GET.get("token") or in_session)

    @property
    def _entry(self) -> str:
        return f"accounts {self.request.path} token"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = super().dispatch(request, *args, **kwargs)
        # Before the redirect the token is in the URL.
        response["Referrer-Policy"] = "strict-origin"
        return response

    def get_initial(self) -> dict[str, Any]:
        return {"token": self.token}

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            links.read(self.token, *self.purposes)
            if "token" in request.GET:
                request.session[self._entry] = self.token
                return redirect(request.path)
            self.look_at(self.token)
        except UsedLink as error:
            return self._answered(WHAT_LINKS_DID[error.purpose])
        except InvalidLink:
            return self._answered(self.bad_link)
        return super().get(request, *args, **kwargs)

    def look_at(self, token: str) -> None:
        """Raise `UsedLink` or `InvalidLink` if the link cannot be used."""

    def form_valid(self, form: Any) -> HttpResponse:
        try:
            response = super().form_valid(form)
        except UsedLink as error:
            response = self._answered(WHAT_LINKS_DID[error.purpose])
        if not form.errors:
            self.request.session.pop(self._entry, None)
        return response

    def _answered(self, text: Text) -> HttpResponse:
        """Return the page without its form, because the link cannot be used."""
        return TemplateResponse(self.request, Notice.template_name, {"view": {"heading": self.heading, "text": text}})


class Register(AccountForm):
    form_class = forms.RegistrationForm
    heading, button, done, blamed = _("Register"), _("Register"), "mail-sent", "password1"
    is_offered = users.can_register()

    def carry_out(self, given: dict[str, Any]) -> None:
        registration.register(self.request, given["email"], given["password1"], forms.name_in(given))


class ConfirmEmail(LinkFormView):
    """Confirms a new address, or a registration, whose form also asks for the password."""

    heading, button, done, blamed = _("Confirm your e-mail address"), _("Confirm"), "email-confirmed", "password1"
    purposes = (Purpose.REGISTRATION, Purpose.EMAIL_CHANGE)
    is_offered = users.has_addresses()

    def get_initial(self) -> dict[str, Any]:
        """Return the token, and the user name that was registered with it."""
        field = users.name_field()
        return {**super().get_initial(), **({field.name: self.username} if field and self.username else {})}

    @property
    def username(self) -> str:  # type: ignore[override]
        return emails.registered_name(self.token)

    def look_at(self, token: str) -> None:
        emails.look_at(token)

    def get_form_class(self) -> type[forms.LinkForm]:
        is_for_registration = links.is_for(self.token, Purpose.REGISTRATION)
        return forms.ConfirmRegistrationForm if is_for_registration else forms.LinkForm

    def carry_out(self, given: dict[str, Any]) -> None:
        password = given.get("password1")
        is_given = not given.get("password2")
        emails.confirm(self.request, given["token"], password, is_given=is_given, name=forms.name_in(given))


class ResetPassword(AccountForm):
    form_class = forms.EmailForm
    heading, button, done = _("Reset your password"), _("Send a link"), "mail-sent"
    is_offered = users.has_addresses()

    def carry_out(self, given: dict[str, Any]) -> None:
        passwords.ask_for_reset(self.request, given["email"])


class ConfirmPasswordReset(LinkFormView):
    form_class = forms.PasswordResetForm
    heading, button, done, blamed = _("Choose a new password"), _("Set the password"), "password-reset", "password1"
    text = _("You will be signed out everywhere.")
    purposes = (Purpose.PASSWORD_RESET,)
    is_offered = users.has_addresses()

    @property
    def username(self) -> str:  # type: ignore[override]
        return passwords.user_name_of(self.token)

    def look_at(self, token: str) -> None:
        passwords.look_at(token)

    def carry_out(self, given: dict[str, Any]) -> None:
        passwords.reset(self.request, given["token"], given["password1"])


class Alarm(LinkFormView):
    form_class = forms.LinkForm
    template_name = "accounts/alarm.html"
    heading, button, is_final = _("This was not me"), _("Sign out everywhere"), True
    text = _(
        "All devices that are signed in to your account will be signed out, including this one. Then we send you "
        "a link to choose a new password."
    )
    bad_link = _("This link is not valid. Choose a new password, which also signs out all devices.")
    purposes = (Purpose.ALARM,)
    raised: ClassVar[dict[str, Text]] = {
        "heading": _("You are signed out everywhere"),
        "text": _(
            "Choose a new password now, with the link that we have sent to the address of your account. Anyone who "
            "knows the old password can sign in again. The new password also removes passkeys and an authenticator "
            "app, because somebody else may have set them up. If somebody else has changed your e-mail address, ask "
            "the administrators of this site for help."
        ),
    }

    def look_at(self, token: str) -> None:
        self.account = alarm.account_of(token)

    def carry_out(self, given: dict[str, Any]) -> None:
        self.cancelled = alarm.raise_alarm(self.request, given["token"])

    def finished(self) -> HttpResponse:
        """Name what was cancelled. There is no redirect, because the session that could say it may have ended."""
        shown = {"view": self.raised, "cancelled": self.cancelled}
        return TemplateResponse(self.request, "accounts/alarm_raised.html", shown)
