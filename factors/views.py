"""The pages that change factors. Those about an app and codes work without JavaScript.

Those that change something need a recent sign-in. They ask for an answer to a factor if the request has no refresh
token of its session, or if the project has no page for it (that of `accounts`). A user who has something stronger than
a password is asked for it, unless they have just used it (`factors.service.change_permission`). A secret and recovery
codes are in the answer to a POST request only, so that an access token alone does not show them.
"""

from collections.abc import Mapping
from types import MappingProxyType
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
from django.utils.functional import Promise, cached_property
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.generic import FormView

from factors import codes, forms
from factors.next_page import asked_for
from factors.service import change_permission, recovery_codes, totp
from tokens import sessions

AGAIN = "sign-in-again"
"""The name of the page of `accounts` that asks for a factor."""


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


class WrongAnswer(Exception):
    """The answer to a factor is wrong."""


@careful
class Change(Own, FormView):  # type: ignore[type-arg]
    """A page with a button that changes factors. ``carry_out`` does it, and returns the answer.

    ``asked`` are the factors of which the form asks for one.
    """

    template_name = "factors/form.html"
    form_class: Any = forms.ChangeForm
    heading: ClassVar[str | Promise]
    text: ClassVar[str | Promise]
    button: ClassVar[str | Promise]
    is_final: ClassVar[bool] = False
    asked: Mapping[str, sessions.Factor] = MappingProxyType({})
    is_held: bool = False
    """Whether the request came with a refresh token of its session."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if sessions.current_id(request) is not None:
            self.is_held = sessions.has_refresh_token(request)
            found = self._to_ask()
            if found is None and sessions.is_live(request):
                return redirect_to_login(request.path, AGAIN)
            self.asked = found or {}
        return super().dispatch(request, *args, **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not (name := request.POST.get("send")):
            return super().post(request, *args, **kwargs)
        sessions.factors.begin(request, request.user, name)
        return self.render_to_response(self.get_context_data(form=self.form_class(asked=self.asked), is_sent=True))

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "asked": self.asked}

    def form_valid(self, form: Any) -> HttpResponse:
        given = form.cleaned_data
        try:
            return self.carry_out(given, self._proof(given))
        except WrongAnswer:
            pass
        except (sessions.RefreshTokenRequired, sessions.factors.StrongerRequired):
            user = self.request.user
            missing = change_permission.missing(self.request, user)
            self.asked = on_pages(missing or sessions.factors.of_user(user))
            form = self.get_form()
            form.is_valid()
        is_blamed = "current_password" in form.errors or (form.needs_script and form.non_field_errors())
        if "current_password" in form.fields and not is_blamed:
            is_password = form.cleaned_data.get("method", "password") == "password"
            form.add_error(
                "current_password",
                _("This is not your current password.") if is_password else _("This is not right."),
            )
        return self.form_invalid(form)

    def carry_out(self, given: dict[str, Any], proof: dict[str, Any]) -> HttpResponse:
        raise NotImplementedError

    def _to_ask(self) -> dict[str, sessions.Factor] | None:
        """Return the factors of which the form asks for one. None: the page of `accounts` asks."""
        user, has_page = self.request.user, is_there(AGAIN)
        if missing := change_permission.missing(self.request, user):
            return on_pages(missing) or (None if has_page else {})
        # `form_valid` has shown the field.
        if "current_password" in self.request.POST or not self.is_held:
            return on_pages(sessions.factors.of_user(user))
        if sessions.is_recent(self.request):
            return {}
        return None if has_page else on_pages(sessions.factors.of_user(user))

    def _proof(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return the proof for `factors.service`. Raise `WrongAnswer`.

        A factor that was missing counts for the session, so that the next page does not ask for another code.
        """
        if not self.asked:
            return {}
        name, answer = given["method"], given["current_password"]
        is_missing = bool(change_permission.missing(self.request, self.request.user))
        known = sessions.answered(self.request, name, answer if name == "password" else answer.strip())
        if known is None:
            raise WrongAnswer
        if is_missing and not sessions.reauthenticate(self.request, known):
            raise sessions.SessionEnded
        return {"authenticated": known}

    def _asked_next(self) -> dict[str, sessions.Factor]:
        """Return what the form of the next page asks for, after this one has carried out its change."""
        return on_pages(sessions.factors.of_user(self.request.user)) if self.asked and not self.is_held else {}

    def _done(self, text: str) -> HttpResponse:
        messages.success(self.request, text, fail_silently=True)
        return redirect("your-security")

    def _last(self) -> HttpResponse:
        text = _("There would be no way left into your account. Set a password first.")
        messages.error(self.request, text, fail_silently=True)
        return redirect("your-security")

    def _shown(self, template: str, **context: Any) -> HttpResponse:
        shown = {"base": _base(), "view": self, **context}
        return TemplateResponse(self.request, template, shown)


class SetUpApp(Change):
    """Shows the secret of a new app, with the form of `ConfirmApp`."""

    heading, button = gettext_lazy("Set up an authenticator app"), gettext_lazy("Continue")
    text = gettext_lazy("You need an app such as 2FAS, Aegis or Google Authenticator, or a password manager.")

    def carry_out(self, given: dict[str, Any], proof: dict[str, Any]) -> HttpResponse:
        return _to_confirm(self, totp.begin(self.request, **proof))


class ConfirmApp(Change):
    form_class = forms.ConfirmationForm
    heading, button = SetUpApp.heading, gettext_lazy("Confirm")
    text = SetUpApp.text

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return redirect("set-up-app")

    def carry_out(self, given: dict[str, Any], proof: dict[str, Any]) -> HttpResponse:
        try:
            made = totp.confirm(self.request, given["code"], end_others=given["end_others"], **proof)
        except totp.WrongCode:
            found = totp.pending(self.request, **proof)
            form = self.get_form()
            form.is_valid()
            form.add_error("code", _("This code is not right. Enter the one that your app shows now."))
            return _to_confirm(self, found, form)
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
            return self._last()
        return self._done(_("The app is removed."))


class NewRecoveryCodes(Change):
    """Makes new recovery codes. A user with an app and without codes is led here after a sign-in, and then to ``next``.

    A user who has no codes yet is not asked whether other sessions end, because nothing is replaced.
    """

    @cached_property
    def is_first(self) -> bool:
        return not recovery_codes.has_some(self.request.user)

    @property
    def form_class(self) -> Any:  # type: ignore[override]
        return forms.ChangeForm if self.is_first else forms.RemovalForm

    @property
    def heading(self) -> str:  # type: ignore[override]
        return _("Get recovery codes") if self.is_first else _("New recovery codes")

    @property
    def button(self) -> str:  # type: ignore[override]
        return _("Get recovery codes") if self.is_first else _("Make new codes")

    @property
    def text(self) -> str:  # type: ignore[override]
        if recovery_codes.left(self.request.user):
            return _("The codes that you have now will not work any more.")
        return _("Each code gets you in once if you lose your app or passkey. You have none at the moment.")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(next=asked_for(self.request), **kwargs)

    def carry_out(self, given: dict[str, Any], proof: dict[str, Any]) -> HttpResponse:
        return _with_codes(
            self, recovery_codes.replace(self.request, end_others=given.get("end_others", False), **proof)
        )


def _to_confirm(view: Change, found: totp.Enrolment, form: Any = None) -> HttpResponse:
    if form is None:
        # The next request comes without a refresh token too, or has one and a recent sign-in.
        form = forms.ConfirmationForm(asked=view._asked_next())
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
        "factors/recovery_codes.html",
        codes=made,
        as_file=f"data:text/plain;charset=utf-8,{quote(text)}",
        next=asked_for(view.request),
    )


def _base() -> str:
    """Return the template that the pages extend: that of `accounts` if its pages are there, or our own."""
    is_theirs = apps.is_installed("accounts") and is_there("your-devices") and is_there("sign-out")
    return "accounts/base.html" if is_theirs else "factors/base.html"


def on_pages(found: Mapping[str, sessions.Factor]) -> dict[str, sessions.Factor]:
    """Return those of these factors that pages can ask for."""
    return {name: factor for name, factor in found.items() if factor.is_on_pages}


def is_there(name: str) -> bool:
    """Return whether the project has a URL of this name."""
    try:
        return bool(reverse(name))
    except NoReverseMatch:
        return False
