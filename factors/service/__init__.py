"""What can be done with the factors of a user. The API, the pages and the classes in FACTORS call only these functions.

- `totp`: authenticator apps. `recovery_codes`: recovery codes.
- `passkeys`: passkeys. `assertions`: what they have signed. `origins`: the other origins of which browsers are told.
  `offers`: whether a user is offered to create one after a sign-in.
- `sign_in_ways`: by what a user can sign in, with nothing before it. `change_permission`: who may change factors.
- `removal`: removes all factors of a user. `resetting`: staff does so for a user who has lost all of them.

Each change and its event are one transaction, in which the user and their sessions are locked first, and rows of this
app last. What answers a factor locks only its own row.
"""
