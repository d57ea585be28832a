"""What Django's settings name for PostgreSQL: the database backend in `base`, and the `routers` for a read replica.

`deadline` bounds how long a request waits for the database.
"""
