from typing import Any

from django.core.checks import CheckMessage, Tags, Warning, register

from tokens.models import RefreshToken
from tokens.web import taking_over


@register(Tags.security)
def check_modes(**kwargs: Any) -> list[CheckMessage]:
    """Check that the storage mode of clients without cookies is served, because such clients come over."""
    if RefreshToken.Mode.BODY in taking_over.modes():
        return []
    hint = 'Add "body" to TOKENS["MODES"], unless all clients are browsers, which get cookies.'
    what = "Clients of the old package that keep their tokens themselves cannot come over"
    return [Warning(f"{what}: MODES lacks the mode body.", hint=hint, id="tokens.W048")]
