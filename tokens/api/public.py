"""What apps with API endpoints of their own may import: base views, errors, schema and serializers.

`tokens.sessions` is the other public module. It does not import REST framework.
"""

from tokens.api.base import ApiView, Public, endpoint, proof_of, proof_of_delete, reauthentication_required
from tokens.api.discovery import authorization_server_metadata, jwks
from tokens.api.errors import ProblemError, answer_with_problem
from tokens.api.permissions import requires
from tokens.api.schema import PROVEN, SIGNED_IN, AskedOutput, FactorOutput, GrantOutput, Operation, Parameter
from tokens.api.serializers import Flag, ProofInput, SignInInput, Text, text_of, valid
from tokens.api.views import Me, granted
from tokens.web.http import problems

__all__ = [
    "PROVEN",
    "SIGNED_IN",
    "ApiView",
    "AskedOutput",
    "FactorOutput",
    "Flag",
    "GrantOutput",
    "Me",
    "Operation",
    "Parameter",
    "ProblemError",
    "ProofInput",
    "Public",
    "SignInInput",
    "Text",
    "answer_with_problem",
    "authorization_server_metadata",
    "endpoint",
    "granted",
    "jwks",
    "problems",
    "proof_of",
    "proof_of_delete",
    "reauthentication_required",
    "requires",
    "text_of",
    "valid",
]
