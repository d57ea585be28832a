"""The paths of the API, and numbers that its tests share."""

LOGIN, REFRESH_PATH, LOGOUT = "/api/auth/login", "/api/auth/refresh", "/api/auth/logout"
ME, SESSIONS, REAUTHENTICATE = "/api/auth/me", "/api/auth/sessions", "/api/auth/reauthenticate"
NO_SESSION = "01939d2a-7c00-7abc-8def-0123456789ab"
HOUR, DAY = 3600, 86400
RECENT = 900  # For so many seconds a sign-in is recent enough to end sessions.
