"""The page "Security", and the pages that change factors. They work without JavaScript.

Those that change something need a recent sign-in. They ask for the current password if the request has no refresh token
of its session, or if the project has no page to enter it again (that of `accounts`). A secret and recovery codes are in
the answer to a POST request only, so that an access token alone does not show them.
"""

from typing import Any, ClassVar
from urllib.parse import quote

from django.apps import apps
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils.decorators import method_decorator
from django.utils.functional import Promise
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.generic import FormView, TemplateView

from factors import codes, forms
from factors.service import recovery_codes, totp
from tokens import sessions

AGAIN = "sign-in-again"
"""The name of the page of `accounts` that asks for the password."""


# Even with ATOMIC_REQUESTS, changes are committed before the mail about them is sent.
careful = method_decorator(
    [transaction.non_atomic_requests, never_cache, sensitive_post_parameters(), sensitive_variables()], "dispatch"
)


class Own:
    """A page about the user of the request. Anybody else is led to the page to sign in."""

    request: HttpRequest

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            if sessions.is_live(request):
                answer: HttpResponseBase = super().dispatch(request, *args, **kwargs)  # type: ignore[misc]
                return answer
        except sessions.SessionEnded:
            pass
        return redirect_to_login(request.get_full_path())

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(base=_base(), **kwargs)  # type: ignore[misc]
        return context


@method_decorator(never_cache, "dispatch")
class Security(Own, TemplateView):
    """The page "Security": by what the user can prove who they are."""

    template_name = "factors/security.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        user = self.request.user
        names = sessions.factors.offered(self.request, user)
        return super().get_context_data(
            labels=[sessions.factors.label_of(name) for name in names],
            app=totp.of_user(user),
            left=recovery_codes.left(user),
            **kwargs,
        )


@careful
class Change(Own, FormView):  # type: ignore[type-arg]
    """A page with a button that changes factors. ``carry_out`` does it, and returns the answer."""

    template_name = "factors/form.html"
    form_class: Any = forms.ChangeForm
    heading: ClassVar[str | Promise]
    text: ClassVar[str | Promise]
    button: ClassVar[str | Promise]
    is_final: ClassVar[bool] = False
    asks_password: bool = False

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        is_recent = sessions.is_recent(request)
        # `form_valid` has shown the field.
        self.asks_password = "current_password" in request.POST or not sessions.has_refresh_token(request)
        if not is_recent and not self.asks_password:
            if _is_there(AGAIN) and sessions.is_live(request):
                return redirect_to_login(request.path, AGAIN)
            self.asks_password = True
        return super().dispatch(request, *args, **kwargs)

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "asks_password": self.asks_password}

    def form_valid(self, form: Any) -> HttpResponse:
        given = form.cleaned_data
        try:
            return self.carry_out(given, self._proof(given))
        except sessions.RefreshTokenRequired:
            self.asks_password = True
            form = self.get_form()
            form.is_valid()
            if "current_password" not in form.errors:
                form.add_error("current_password", _("This is not your current password."))
        return self.form_invalid(form)

    def carry_out(self, given: dict[str, Any], proof: dict[str, Any]) -> HttpResponse:
        raise NotImplementedError

    def _proof(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return the proof for `factors.service`. Raise `RefreshTokenRequired` if the password is wrong."""
        if not self.asks_password:
            return {}
        if sessions.actor_id(self.request) is not None:
            raise sessions.ImpersonationRefused
        user: Any = self.request.user
        known = sessions.authenticate(
            self.request, username=user.get_username(), password=given.get("current_password")
        )
        if known is None or known.pk != user.pk:
            raise sessions.RefreshTokenRequired
        return {"authenticated": known}

    def _done(self, text: str) -> HttpResponse:
        messages.success(self.request, text, fail_silently=True)
        return redirect("your-security")

    def _shown(self, template: str, **context: Any) -> HttpResponse:
        shown = {"base": _base(), "view": self, **context}
        return TemplateResponse(self.request, template, shown)


class SetUpApp(Change):
    """Shows the secret of a new app, with the form of `ConfirmApp`."""

    heading, button = gettext_lazy("Set up an authenticator app"), gettext_lazy("Continue")
    text = gettext_lazy("You need an app such as 2FAS, Aegis or Google Authenticator, or a password manager.")

    def carry_out(self, given: dict[str, Any], proof: dict[str, Any]) -> HttpResponse:
        return _to_confirm(self, totp.begin(self.request, **proof), asks_password=self.asks_password)


class ConfirmApp(Change):
    form_class = forms.ConfirmationForm
    heading = SetUpApp.heading

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return redirect("set-up-app")

    def carry_out(self, given: dict[str, Any], proof: dict[str, Any]) -> HttpResponse:
        try:
            made = totp.confirm(self.request, given["code"], end_others=given["end_others"], **proof)
        except totp.WrongCode:
            form = self.get_form()
            form.is_valid()
            form.add_error("code", _("This code is not right. Enter the one that your app shows now."))
            return _to_confirm(self, totp.pending(self.request, **proof), form)
        except totp.NothingPending:
            messages.error(self.request, _("That took too long. Begin again."), fail_silently=True)
            return redirect("set-up-app")
        return _with_codes(self, made) if made else self._done(_("The app is set up."))


class RemoveApp(Change):
    form_class = forms.RemovalForm
    heading, button, is_final = gettext_lazy("Remove the authenticator app"), gettext_lazy("Remove"), True
    text = gettext_lazy("You will sign in without a code. Your recovery codes end too.")

    def carry_out(self, given: dict[str, Any], proof: dict[str, Any]) -> HttpResponse:
        try:
            totp.remove(self.request, end_others=given["end_others"], **proof)
        except totp.NotSetUp:
            return redirect("your-security")
        except totp.LastFactor:
            messages.error(
                self.request,
                _("There would be no way left into your account. Set a password first."),
                fail_silently=True,
            )
            return redirect("your-security")
        return self._done(_("The app is removed."))


class NewRecoveryCodes(Change):
    heading, button = gettext_lazy("New recovery codes"), gettext_lazy("Make new codes")
    text = gettext_lazy("The codes that you have now will not work any more.")

    def carry_out(self, given: dict[str, Any], proof: dict[str, Any]) -> HttpResponse:
        return _with_codes(self, recovery_codes.replace(self.request, **proof))


def _to_confirm(view: Change, found: totp.Enrolment, form: Any = None, *, asks_password: bool = False) -> HttpResponse:
    form = form or forms.ConfirmationForm(asks_password=asks_password)
    return view._shown(
        "factors/confirm_app.html",
        form=form,
        secret=codes.in_groups(found.secret),
        uri=found.uri,
        qr_code=mark_safe(codes.qr_code(found.uri)),  # noqa: S308 (segno has made it)
    )


def _with_codes(view: Change, made: list[str]) -> HttpResponse:
    text = "\n".join(made) + "\n"
    return view._shown(
        "factors/recovery_codes.html", codes=made, as_file=f"data:text/plain;charset=utf-8,{quote(text)}"
    )


def _base() -> str:
    """Return the template that the pages extend: that of `accounts` if its pages are there, or our own."""
    is_theirs = apps.is_installed("accounts") and _is_there("your-devices") and _is_there("sign-out")
    return "accounts/base.html" if is_theirs else "factors/base.html"


def _is_there(name: str) -> bool:
    try:
        return bool(reverse(name))
    except NoReverseMatch:
        return False
