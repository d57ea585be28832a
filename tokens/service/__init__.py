"""What happens to sessions. Only these modules write the rows of `tokens.models`. They know no request and no response.

The life of a session:

- `opening`: opens a session when a user has signed in. `lifetimes`: when it ends. `required_factors`: what it lacks.
- `refreshing`: refreshes a session by its refresh token. `rotation_statement`: the most common case as one statement.
- `acknowledgements`: records that clients received their tokens.
- `binding`: binds a session to its device, and refreshes it by the key of the device.
- `issuing`: the tokens that a client is given. `claims`: a project's own claims in them. `service_tokens`: those for
  services.
- `possession`: whether a client holds the session, and not only an access token of it.
- `reauthentication`: a user proves again who they are. `reopening`: the session that a factor reopens.
- `impersonation`: a user uses the account of another one.
- `revocation`: ends sessions. `revocation_feed`: tells every process which sessions were ended.

Users and devices:

- `users`: the user's row under a lock. `user_rules`: whether a user may act, by the rules of the project.
- `user_changes`: what ends when a user is changed. `triggers`: changes that the code cannot see. `auth_hash`: how a new
  password ends sessions.
- `addresses`: the e-mail addresses of users. `canonical_names`: spellings that may mean the same account.
- `devices`: the device that a session is on. `trust`: devices on which no second factor is asked for.
- `client`: who sent a request.

What is recorded, limited and shown:

- `events`: security events. `hourly_events`: those that a client can cause again and again.
- `throttles`: counts what may not happen too often.
- `queries`: reads sessions. `overview`: how many there are. `method_labels`: words for authentication methods.
- `purge`: deletes what is past its retention. `reporting`: the progress of management commands.

`public` is what `accounts` and `factors` import of these modules, besides `tokens.sessions`.
"""
