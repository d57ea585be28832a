"""System checks: what is wrong with the settings.

- ``tokens.E009``: the revocation feed does not support the database.
- ``tokens.E010``, ``E011``, ``E016``: the middleware is missing, in the wrong place, or beside Django's.
- ``tokens.E012``: TRUSTED_PROXIES cannot be read.
- ``tokens.E013``: a hook cannot be called.
- ``tokens.E030``: USE_TZ is off.
- ``tokens.E040``: SQLite stores times in a time zone.
- ``tokens.E041``: the router sends users, or some of our tables, to another database than sessions.
- ``tokens.E050``, ``W050``: the project has an app named `accounts` or `tokens`, and one of the two is hidden.
- ``tokens.E060``: the claims hook does not take the session.
- ``tokens.E063``: an entry of FACTORS is no factor.
- ``tokens.E065``: the sign-in policy does not take a request, a user and methods.
- ``tokens.E067``: the function in REQUIRED_FACTORS does not take a user.
- ``tokens.E068``: nobody can do what REQUIRED_FACTORS asks for.
- ``tokens.W003``: sign-ins are not throttled.
- ``tokens.W004``: each process counts for itself what is throttled.
- ``tokens.W006``: a trigger is missing, so that some changes of users are not noticed.
- ``tokens.W008``: impersonations by django-hijack look like sign-ins of the user.
- ``tokens.W011``: clients can say that they use https.
- ``tokens.W026``: Django's own cookies have the same names as those of another site on the host.
- ``tokens.W027``: what django-oauth-toolkit grants outlives the session.
- ``tokens.W028``: django-allauth's list of sessions does not end ours.
- ``tokens.W029``: our public keys and those of django-allauth are at the same URL.
- ``tokens.W030``: our entry points do not ask for django-allauth's second factor, or its confirmation of addresses.
- ``tokens.W051``, ``W052``, ``W053``: the API, REST framework or the public keys are missing beside the others.
- ``tokens.W054``: each tenant has a schema, and tokens of one tenant are good at another.
- ``tokens.W058``: REAUTHENTICATION_URL leads nowhere.
- ``tokens.W059``: a password is enough for the staff.
- ``tokens.W060``, ``W061``: users without a factor cannot set one up, or no page asks for it.
- ``tokens.W062``: REST framework takes a password with each request.

`tokens.conf` has the checks of single settings, and each package of `tokens.contrib` has its own.
"""

from tokens.checks import databases, packages, project, required, settings

__all__ = ["databases", "packages", "project", "required", "settings"]
