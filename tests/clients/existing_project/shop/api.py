from rest_framework import serializers, viewsets
from rest_framework.decorators import api_view, permission_classes
from rest_framework.permissions import DjangoModelPermissions, IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView

from shop.models import Product


class ProductSerializer(serializers.ModelSerializer):
    class Meta:
        model = Product
        fields = ("id", "name", "owner")
        read_only_fields = ("owner",)


class Products(viewsets.ModelViewSet):
    queryset = Product.objects.order_by("pk")
    serializer_class = ProductSerializer
    permission_classes = [DjangoModelPermissions]

    def perform_create(self, serializer: serializers.BaseSerializer) -> None:
        serializer.save(owner=self.request.user)


@api_view(["GET", "POST"])
def me(request: Request) -> Response:
    return Response({"name": request.user.get_username()})


@api_view(["GET"])
@permission_classes([IsAdminUser])
def staff(request: Request) -> Response:
    return Response({"staff": True})


class Scarce(APIView):
    throttle_classes = [UserRateThrottle]

    def get(self, request: Request) -> Response:
        return Response({"pk": request.user.pk})
