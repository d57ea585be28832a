"""The JSON API of accounts: register, confirm, change, reset, delete. Views parse, call `accounts.service`, answer."""
