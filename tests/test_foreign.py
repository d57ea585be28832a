"""What fails only with our middleware and backend in other packages' tests is listed with its reason, and is little."""

import re

import pytest

from tests.foreign import django_suites, rest_framework_suite

LISTS = {"Django": django_suites.LISTED, "REST framework": rest_framework_suite.LISTED}


@pytest.mark.parametrize("listed", LISTS.values(), ids=LISTS)
def test_each_has_the_place_in_the_documentation_that_does_not_promise_it(listed):
    assert 0 < len(listed) <= 12
    for test, place in listed.items():
        assert re.fullmatch(r"[a-z_]+(\.\w+)+\.test_\w+", test)
        assert re.match(r"(ref|topics)/[a-z/-]+(, [^:]+)?: ", place), place
