"""The pages that create, rename and remove passkeys, and the one that offers to create one after a sign-in.

Their script (``factors/static/factors/passkeys.js``) gets its options from `factors.passkey_views`.
"""

from typing import Any, ClassVar

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.functional import Promise, cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.generic import TemplateView

from factors import forms
from factors.next_page import next_page
from factors.security import signal
from factors.service import change_permission, offers, passkeys, recovery_codes, totp
from factors.views import Change, Own, careful, on_pages
from tokens import sessions

REFUSED = gettext_lazy("The passkey was not created. Try again.")


class OfPasskeys:
    """Answers 404 unless this site has passkeys. `dispatch` stays as it is, with what its decorators have noted."""

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        if not passkeys.are_on():
            raise Http404
        super().setup(request, *args, **kwargs)  # type: ignore[misc]


class AddPasskey(OfPasskeys, Change):
    """Its script lets the browser create the passkey, and then sends the form."""

    template_name = "factors/add_passkey.html"
    form_class = forms.PasskeyForm
    heading, button = gettext_lazy("Create a passkey"), gettext_lazy("Create a passkey")
    text = gettext_lazy(
        "Your browser asks where to keep it: on this device, in a password manager, or on a security key."
    )

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        # An authenticator may have created a passkey that was then refused.
        return super().get_context_data(signal=signal(self.request), **kwargs)

    def carry_out(self, given: dict[str, Any], proof: dict[str, Any]) -> HttpResponse:
        try:
            passkeys.add(self.request, given["credential"], given["name"], end_others=given["end_others"], **proof)
        except passkeys.CreationRefused:
            return self._refused(REFUSED)
        except passkeys.TooMany:
            return self._refused(_("This account has as many passkeys as it can have. Remove one first."))
        return self._done(_("The passkey is created."))

    def _refused(self, text: str | Promise) -> HttpResponse:
        form = self.get_form()
        form.is_valid()
        form.add_error(None, text)
        return self.form_invalid(form)


class OnePasskey(OfPasskeys, Change):
    """A page about one of the user's passkeys."""

    @cached_property
    def passkey(self) -> Any:
        found = passkeys.of_user(self.request.user)
        return next((row for row in found if row.pk == self.kwargs["passkey_id"]), None)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        if self.passkey is None:
            raise Http404
        return super().get_context_data(**kwargs)


class RenamePasskey(OnePasskey):
    """Needs no recent sign-in. It asks for a factor only if the request has no refresh token of its session."""

    form_class = forms.PasskeyNameForm
    heading, button = gettext_lazy("Rename the passkey"), gettext_lazy("Save")
    text: ClassVar[str] = ""

    def get_initial(self) -> dict[str, Any]:
        return {"name": self.passkey and self.passkey.name}

    def carry_out(self, given: dict[str, Any], proof: dict[str, Any]) -> HttpResponse:
        try:
            row = passkeys.rename(self.request, self.kwargs["passkey_id"], given["name"], **proof)
        except passkeys.NoSuchPasskey:
            raise Http404 from None
        return self._done(_("The passkey is called “%(name)s” now.") % {"name": row.name})

    def _to_ask(self) -> dict[str, sessions.Factor]:
        return {} if self.is_held else on_pages(sessions.factors.of_user(self.request.user))


class RemovePasskey(OnePasskey):
    form_class = forms.RemovalForm
    heading, button, is_final = gettext_lazy("Remove the passkey"), gettext_lazy("Remove"), True

    @property
    def text(self) -> str:  # type: ignore[override]
        user = self.request.user
        is_last = len(passkeys.of_user(user)) == 1 and totp.of_user(user) is None
        if is_last and recovery_codes.left(user):
            text = _("You will not sign in by “%(name)s” any more. Your recovery codes end too.")
        else:
            text = _("You will not sign in by “%(name)s” any more.")
        return text % {"name": self.passkey.name}

    def carry_out(self, given: dict[str, Any], proof: dict[str, Any]) -> HttpResponse:
        try:
            passkeys.remove(self.request, self.kwargs["passkey_id"], end_others=given["end_others"], **proof)
        except passkeys.NoSuchPasskey:
            raise Http404 from None
        except totp.LastFactor:
            return self._last()
        return self._done(_("The passkey is removed."))


@careful
class OfferPasskey(OfPasskeys, Own, TemplateView):
    """Offers to create a passkey to a user who has just signed in, and leads on to ``next``.

    Nothing is offered to people who could not create one at once, or who do not want to be asked.
    """

    template_name = "factors/offer_passkey.html"
    heading = gettext_lazy("Sign in without a password next time")

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        user = request.user
        is_able = sessions.is_recent(request) and sessions.has_refresh_token(request)
        if not is_able or not offers.is_wanted(user) or change_permission.missing(request, user):
            return HttpResponseRedirect(next_page(request))
        return super().get(request, *args, **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.POST.get("answer") == "never":
            if sessions.actor_id(request) is not None:
                raise sessions.ImpersonationRefused
            offers.dismiss(request.user)
        if not (credential := request.POST.get("credential")):
            return HttpResponseRedirect(next_page(request))
        try:
            passkeys.add(request, credential)
        except (passkeys.CreationRefused, passkeys.TooMany, sessions.factors.StrongerRequired):
            return self.render_to_response(self.get_context_data(error=REFUSED))
        except sessions.RefreshTokenRequired:
            return redirect("add-passkey")
        messages.success(request, _("The passkey is created."), fail_silently=True)
        return HttpResponseRedirect(next_page(request))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(next=next_page(self.request), **kwargs)
