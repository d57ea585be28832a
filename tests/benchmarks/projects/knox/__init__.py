"""django-rest-knox. Nothing is refreshed: a token lives ten hours, by default without being prolonged by its use."""
