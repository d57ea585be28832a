"""The JSON API: signing in, refreshing, signing out, and the user's sessions.

Views parse the request, call `tokens.web.operations.session` or `tokens.service`, and render the answer.
"""
