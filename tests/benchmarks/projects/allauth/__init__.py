"""django-allauth headless, for apps: with session tokens, which nothing refreshes, or with JWT (``jwt``)."""
