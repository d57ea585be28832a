"""The JSON API of factors: what an account has, an authenticator app, recovery codes. Views call `factors.service`."""
