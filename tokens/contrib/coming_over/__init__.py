"""Takes over what other packages have issued, so that a release signs nobody out. It can be removed when it is done.

It is an app, with a table that says which session a credential has become. Beside it a project includes the URLs of its
old package, which answer in that package's own form::

    INSTALLED_APPS += ["tokens.contrib.coming_over"]
    path("api/token/", include("tokens.contrib.coming_over.simplejwt_urls"))

- A credential is verified by its package's own code, and becomes a session once (`tokens.web.operations.taking_over`).
  Before that, SIGN_IN_POLICY is asked. Nothing is known about how its user has authenticated.
- When the session ends for whatever reason, the credential ends in its package too, in the same transaction. With the
  alarm, a new password or the end of the account, all credentials of the user end there.
- When the credential is ended in its package, its session ends.

`sources` has the packages that are installed. Modules of other packages are not imported.
"""
