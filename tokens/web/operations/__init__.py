"""What views and endpoints do with the session of their request. `tokens.sessions` makes most of it public.

- `session`: opens, refreshes, reauthenticates and ends it. `signing_out`: the sessions that a request names.
- `admission` asks the policy in a sign-in by `django.contrib.auth`. `refusals`: the response to one that it refused.
- `pending`: a sign-in that still needs a factor. `one_factor`: a sign-in by a factor with nothing before it.
- `reopening` continues a session that is idle or lacks a factor. `reopenable`: what the client of such a session is
  told.
- `step_up`: a view asks for a higher level. `factor_answers`: a user answers a factor before a sensitive change.
- `impersonation`: a member of the staff uses the account of another user. `staff`: they change such accounts.
- `recovery`: the owner gets an account back. `mailing`: how many mails somebody may ask for.
- `account_sessions`: what ends with a change of the account. `taking_over`: credentials of another package.
"""
