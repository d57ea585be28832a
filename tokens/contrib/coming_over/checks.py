from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register

from tokens.models import RefreshToken
from tokens.web import taking_over


@register(Tags.security)
def check_modes(**kwargs: Any) -> list[CheckMessage]:
    """Check that the storage mode of clients without cookies is served, because such clients come over."""
    if RefreshToken.Mode.BODY in taking_over.modes():
        return []
    hint = 'Add "body" to TOKENS["MODES"] until no client uses the URLs of the old package any more.'
    return [Error("The aliases of the old package answer with tokens.", hint=hint, id="tokens.E048")]
