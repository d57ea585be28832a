"""The JSON API: sign in, refresh, sign out, and a person's sessions. Views parse, call `tokens.service`, and render."""
