"""What a request brings, and what its response carries.

These modules call `tokens.service`, and hold no rule about sessions. A request passes them in this order:

- `incoming`: whose request it is, before the view. `tenants`: which tenant it is for.
- `request_user` sets ``request.user``, which is a `lazy_user`.
- `operations`: what the view does with the session. `sign_in_policy` is the one place that opens sessions for sign-ins,
  and asks the policy. `methods` says how the user has authenticated, and `trust` whether on a trusted device.
  `attempts`: which throttles count a sign-in. `possession`: whether the client holds the session.
- `after_view`: carries out what the view has asked of `django.contrib.auth`. `receivers` has noted it.
- `outgoing`: the response's cookies.
- `exchange`: what one request carries from the first to the last of them.

`http` is what they know of HTTP, and `django` is Django's own session. `handshake` is for web sockets, which do not
pass the middleware. `flow` is logic that is written once for WSGI and ASGI.

A project's settings, ``wsgi.py`` and ``asgi.py`` name these: `cors`, `policies`, `factors`, `requests` (request
classes), `bodies` (the size of bodies under ASGI), and `reports` (what an error report and the log show of a request).
"""
