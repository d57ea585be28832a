"""What can go wrong, one class for each reaction of the caller.

LatchkeyError
├── SignInRequired    sign in
├── SignInRefused     correct the name or the password, or answer a factor
├── SessionIdle       authenticate again with a factor
├── Unavailable       wait, and try again
└── StoreFailed       repair the file or the keyring

No message and no attribute contains a token or a password.
"""


class LatchkeyError(Exception):
    """The base class. It is raised itself if the server gives an answer that no version of Latchkey gives."""


class SignInRequired(LatchkeyError):
    """There is no session, or it has ended. The tokens were removed from the store: sign in again."""


class SignInRefused(LatchkeyError):
    """The server has refused a sign-in.

    ``code``: the code of the problem, such as ``invalid_credentials`` or ``factor_required``.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class SessionIdle(LatchkeyError):
    """The session goes on when the user has answered a factor, or has signed in again. The tokens were kept."""


class Unavailable(LatchkeyError):
    """The server did not answer, or has asked to wait. The tokens were kept.

    ``retry_after``: the seconds after which the server wants to be asked again, or None if it has said nothing.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StoreFailed(LatchkeyError):
    """The tokens could not be read, written or locked."""
