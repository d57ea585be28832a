"""Django's own sessions, with their rows in the database, or there and in Redis (``cached``)."""
