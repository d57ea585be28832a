"""The protocol: pure functions and values.

Nothing here imports Django or another part of `tokens`, reads a clock, or does I/O. `tokens.service` calls it with the
rows and the time that it has read.

- `rotation`: what the server answers to a presented refresh token.
- `refresh_tokens`: the bytes of a refresh token.
- `access_tokens`: the JWT (RFC 9068). `methods`: its claims ``amr`` and ``acr``, and how a row stores them.
- `signing_keys`: the keys that sign access tokens, from PEM to JWK.
- `keys`: all keys of the server, derived from Django's secret by HKDF or configured.
- `dbsc`: Device Bound Session Credentials, as they are sent and received.
- `segments`: the parts of a JWS. `bounded_cache`: the verified tokens that a process remembers.
"""
