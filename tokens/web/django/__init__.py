"""Django's own session, beside ours. Both belong to the same person in every request.

- `django_session` examines it before the view. `deferred` does so only when the view asks for the user, and
  `in_transaction` writes nothing while a view has a transaction.
- `django_sign_in`: a sign-in that only Django's session knows becomes a session of ours. `outside_middleware` opens
  ours already during such a sign-in.
- `withheld_session`: a view gets an empty session instead of the one that its user may not see yet.
- `session_data`: what is noted in Django's session about ours. `session_cookie`: which session its cookie names.
- `expiry`: how long Django's session lasts. `last_login`: Django's receiver of that name.
"""
