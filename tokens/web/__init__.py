"""What a request brings, and what its response carries.

These modules call `tokens.service`, and hold no rule about sessions.

- `incoming`: whose request it is, before the view. `outgoing`: the response's cookies, after the view.
- `exchange`: what one request carries from the first to the second.
- `session`: what views do with the session of their request.
- `after_view`: carries out what a view has asked of `django.contrib.auth`.
- `django_session`: keeps Django's own session and ours with the same person. `django_sign_in`: a sign-in that only
  Django's session knows. `attempts`: which throttles count a sign-in.
- `cookies`, `client`, `origins`, `paths`, `user`, `problems`, `cors`: one part of HTTP each.
- `reports`: what an error report and the log show of a request. `requests`: request classes, for ``wsgi.py`` and
  ``asgi.py``.
- `flow`: logic that is written once for WSGI and ASGI.
"""
