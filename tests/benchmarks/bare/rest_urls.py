from typing import Any

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tests.benchmarks.bare.urls import urlpatterns as bare


class Input(serializers.Serializer[Any]):
    question = serializers.CharField()


class View(APIView):
    def get(self, request: Request) -> Response:
        return Response({"answer": 42})


urlpatterns = [*bare, path("api/view", View.as_view())]
