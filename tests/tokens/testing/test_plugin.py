"""The fixtures of the plugin. ``tests/clients/test_first_test.py`` loads it as a project does."""

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client
from rest_framework.test import APIClient

from tokens.testing.plugin import latchkey_user, signed_in_api_client, signed_in_async_client  # noqa: F401
from tokens.testing.plugin import signed_in_client as by_plugin  # noqa: F401

pytestmark = pytest.mark.django_db
ME = "/api/auth/me"


def test_each_client_is_signed_in_as_the_same_user(by_plugin, signed_in_api_client, latchkey_user):  # noqa: F811
    assert (type(by_plugin), type(signed_in_api_client)) == (Client, APIClient)
    for client in (by_plugin, signed_in_api_client):
        assert client.user == latchkey_user
        assert client.get(ME).json()["user"]["email"] == latchkey_user.email
    assert Client().get(ME).status_code == 401


def test_the_async_client_is_signed_in(signed_in_async_client, latchkey_user):  # noqa: F811
    assert type(signed_in_async_client) is AsyncClient
    assert async_to_sync(signed_in_async_client.get)(ME).json()["user"]["email"] == latchkey_user.email
    assert async_to_sync(AsyncClient().get)(ME).status_code == 401


class TestAFixtureOfTheProject:
    @pytest.fixture
    def latchkey_user(self, user):
        """The project's own user. A plugin that ignored it would sign in a user of its own."""
        return user

    def test_names_the_user_who_is_signed_in(self, by_plugin, user):  # noqa: F811
        assert by_plugin.get(ME).json()["user"]["email"] == user.email
