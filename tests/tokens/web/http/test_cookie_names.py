"""The names of the cookies: what becomes of a browser that has those of before."""

import pytest

from tests.browsers import ACCESS, DEVICE, REFRESH, login, post
from tests.tokens.web.old_names import OLD_DEVICE, OLD_REFRESH, old_browser, writes
from tests.tokens.web_steps import EXPIRED, cleared, set_by, who
from tokens.models import Device, RefreshToken

__all__ = ["old_browser", "writes"]

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.urls")]

REFRESH_PATH = "/api/auth/refresh"
DAY = 86400.0


class TestAUserWhoSignedInBefore:
    def test_stays_signed_in_and_gets_the_new_names_instead_of_the_old_ones(self, clock, old_browser, user):
        assert {OLD_REFRESH, OLD_DEVICE} <= set(old_browser.cookies)
        device = old_browser.cookies[OLD_DEVICE].value
        clock.forward(EXPIRED)
        answer = post(old_browser, REFRESH_PATH)
        assert set_by(answer) == {ACCESS, REFRESH, DEVICE}
        assert cleared(answer) == {OLD_REFRESH, OLD_DEVICE}
        assert old_browser.cookies[DEVICE].value == device
        clock.forward(EXPIRED)
        assert who(old_browser) == str(user.pk)

    def test_stays_signed_in_when_old_and_new_processes_answer_in_turn(self, clock, writes, old_browser, user):
        for new in [True, False, True, True, False, False, True]:
            writes(new)
            clock.forward(EXPIRED)
            assert who(old_browser) == str(user.pk)
            held = {name for name in (REFRESH, OLD_REFRESH) if old_browser.cookies[name].value}
            assert held == {REFRESH if new else OLD_REFRESH}
        assert RefreshToken.objects.get().revoked_reason == ""

    @pytest.mark.parametrize(("days", "devices"), [(399, 1), (400, 2)], ids=["before its end", "after its end"])
    def test_is_recognised_at_the_next_sign_in_by_an_old_device_cookie(self, clock, old_browser, user, days, devices):
        """No honest browser has the old cookie after its end."""
        del old_browser.cookies[OLD_REFRESH], old_browser.cookies[ACCESS]
        clock.forward(days * DAY)
        login(old_browser, user)
        assert Device.objects.count() == devices
        assert [bool(old_browser.cookies[name].value) for name in (DEVICE, OLD_DEVICE)] == [True, False]

    def test_who_signs_out_keeps_no_token_under_either_name(self, old_browser):
        assert cleared(post(old_browser, "/api/auth/logout")) >= {ACCESS, REFRESH, OLD_REFRESH}
