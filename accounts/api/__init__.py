"""The JSON API of accounts: registration, e-mail address, password and deletion. Views call `accounts.service`."""
