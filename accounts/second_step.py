"""The page that asks for a factor, if the policy asks for more than a password (SIGN_IN_POLICY of `tokens`)."""

from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _

from accounts import forms, login_urls
from accounts.next_page import LandingPage
from accounts.views import AccountForm, Text, careful
from tokens import sessions


@careful
@method_decorator(login_not_required, "dispatch")
class SecondStep(LandingPage, AccountForm):
    """Asks for one of the factors that are offered. Which it is says ``?method=``, and otherwise it is the first."""

    form_class = forms.FactorForm
    template_name = "accounts/second_step.html"
    heading, button = _("Sign in"), _("Continue")
    offered: dict[str, Any]
    method: str

    @property
    def text(self) -> Text:  # type: ignore[override]
        if self.offered[self.method].is_enrolment:
            return _("Before you can go on, your account needs one more way to prove who you are.")
        return _("One more step is needed to sign in.")

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method != "POST" and sessions.is_live(request):
            return HttpResponseRedirect(self.get_success_url())
        # After a wrong answer the page is the same, whether the pending sign-in has ended or not.
        self.offered = sessions.pending.offered_here(request, even_if_ended=request.method == "POST")
        if not self.offered:
            return redirect_to_login(self.get_redirect_url(), login_urls.login_url())
        asked = request.POST.get("method") or request.GET.get("method")
        self.method = asked if asked in self.offered else next(iter(self.offered))
        return super().dispatch(request, *args, **kwargs)

    def get_form_kwargs(self) -> dict[str, Any]:
        trusted_for = sessions.pending.trust_offered_here(self.request)
        return {**super().get_form_kwargs(), "factor": self.offered[self.method], "trusted_for": trusted_for}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        target = self.get_redirect_url()
        others = [
            {"label": factor.label, "query": urlencode({"method": name, **({"next": target} if target else {})})}
            for name, factor in self.offered.items()
            if name != self.method
        ]
        more = {"factors": sessions.factors.known(), "username": sessions.pending.user_name_here(self.request)}
        return super().get_context_data(next=target, others=others, **more, **self._enrolment(), **kwargs)

    def _enrolment(self) -> dict[str, Any]:
        """Return what the page shows of a factor that is set up here. A script gets that of its factor by itself."""
        factor = self.offered[self.method]
        if not factor.is_enrolment or factor.needs_script:
            return {}
        try:
            return {"enrolment": factor, "options": sessions.pending.options_here(self.request, self.method)}
        except sessions.pending.WrongAnswer:
            return {}  # It has ended. The form says so.

    def form_valid(self, form: Any) -> HttpResponse:
        given = form.cleaned_data["answer"]
        given = given if self.method == "password" else given.strip()
        try:
            trusts = form.cleaned_data.get("trust_device", False)
            sessions.pending.answer_here(self.request, self.method, given, trusts=trusts)
        except sessions.pending.WrongAnswer:
            form.data = {**form.data.dict(), "answer": ""}  # Not even a wrong code is shown.
            form.add_error("answer", _("That did not work. Try again, or sign in from the beginning."))
            return self.form_invalid(form)
        return self.lead_on()
