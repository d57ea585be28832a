"""A project with django-tenants, as its documentation describes it. `__main__` runs it."""
