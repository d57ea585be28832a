"""What happens to sessions. Only these modules write the rows of `tokens.models`. They know no request and no response.

- `opening`: opens a session when a user has signed in. `devices`: the device that the session is on.
- `refreshing`: refreshes a session by its refresh token. `rotation_statement`: the most common case as one statement.
- `binding`: refreshes a session by the key of its device.
- `issuing`: the tokens that a client is given.
- `reauthentication`: a user proves again who they are. `auth_hash`: a changed password ends sessions.
- `revocation`: ends sessions. `revocation_feed`: tells every process which sessions were ended.
- `acknowledgements`: records that clients received their tokens.
- `queries`: reads sessions. `events`: records what happened. `purge`: deletes what is past its retention.
- `throttles`: counts what may not happen too often. `client`: who sent a request.
"""
