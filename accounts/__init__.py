"""The people of a site: users, registration, passwords, e-mail addresses, their pages and mails.

The app asks `tokens.sessions` for everything about sessions. `service` changes accounts, and both the pages (`views`,
`own_account`, `devices`) and the endpoints (`api`) call it.
"""

from pathlib import Path

# Modules that have moved are found in `deprecated/` under their old names, until the next release.
__path__.append(str(Path(__file__).parent / "deprecated"))
