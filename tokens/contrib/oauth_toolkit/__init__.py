"""The adapter for django-oauth-toolkit: what it grants on a session ends with the session.

It is an app, with a table that says which session something was granted on, and a validator, which writes the table::

    INSTALLED_APPS += ["tokens.contrib.oauth_toolkit"]
    OAUTH2_PROVIDER["OAUTH2_VALIDATOR_CLASS"] = "tokens.contrib.oauth_toolkit.validators.OAuth2Validator"

A project with a validator of its own lets it inherit from `validators.SessionBound`.

- When a session ends for whatever reason, the codes, access tokens and refresh tokens that were granted on it are
  deleted, in the transaction that ends it. Whatever grows from them ends with them.
- The alarm, a new password and the end of the account end everything that was granted to the user, on whatever session,
  and also without one.
- Nothing happens when a session expires. But a code or refresh token gets no token any more, and no access token
  outlives the time at which its session would have expired when it was issued.

Tokens from before the adapter was installed are on no session. So are those that no user has granted in a browser.
"""
