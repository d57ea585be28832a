"""A process makes the API's description once for each language and format, and the response has an ETag."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import yaml
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from config import schema

URL = "/api/schema"
JSON = {"Accept": "application/json"}


@pytest.fixture
def made(monkeypatch: Any) -> list[str]:
    """A list with an entry for each description that was made. Without it, one made for each request goes unnoticed."""
    found: list[str] = []
    make = SchemaGenerator.get_schema

    def counted(self: Any, **given: Any) -> Any:
        found.append("made")
        return make(self, **given)

    monkeypatch.setattr(SchemaGenerator, "get_schema", counted)
    schema._described.cache_clear()
    return found


def test_it_is_made_once_for_each_language_and_format(api, made):
    for _ in range(3):
        for language in ("de", "en", "fr", "de-AT,de;q=0.9"):
            assert api.get(URL, headers={"Accept-Language": language}).status_code == 200
            assert api.get(URL, headers={**JSON, "Accept-Language": language}).status_code == 200
    assert len(made) == 4


def test_no_request_of_a_stranger_makes_more(api, made):
    for number in range(10):
        api.get(URL, {"version": number, "lang": f"x{number}", "urlconf": "x", "other": number})
        api.get(URL, headers={"Accept-Language": f"x{number}", "Host": "localhost", "X-Forwarded-Host": f"{number}"})
        api.get(URL, headers={"Accept": f"application/vnd.oai.openapi; indent={number}"})
        api.get(URL, {"lang": "en"}, headers={"Authorization": f"Bearer {number}"})
    assert len(made) == schema._described.cache_info().currsize == 1


def test_the_first_requests_at_the_same_time_make_it_once(made):
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: Client().get(URL).status_code, range(8)))
    assert (answers, len(made)) == ([200] * 8, 1)


def test_each_format_is_what_drf_spectacular_makes(api, made):
    expected = SchemaGenerator().get_schema(request=None, public=True)
    assert api.get(URL, headers=JSON).json() == json.loads(json.dumps(expected))
    response = api.get(URL)
    assert yaml.safe_load(response.content)["paths"].keys() == expected["paths"].keys()
    assert response["Content-Type"] == "application/vnd.oai.openapi; charset=utf-8"
    assert response["Content-Disposition"] == 'inline; filename="Latchkey.yaml"'
    assert api.get(URL, {"format": "json"})["Content-Type"] == "application/vnd.oai.openapi+json"
    assert api.get(URL, headers={"Accept": "image/png"}).status_code == 406


def test_whoever_has_it_gets_304(api):
    first = api.get(URL)
    again = api.get(URL, headers={"If-None-Match": f'"old", {first["ETag"]}'})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    assert {"Accept", "Accept-Language"} <= set(again["Vary"].split(", "))
    assert api.get(URL, headers={"If-None-Match": '"old"'}).content == first.content
    assert api.get(URL, headers=JSON)["ETag"] != first["ETag"]
    assert api.head(URL)["ETag"] == first["ETag"]
