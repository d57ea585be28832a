"""What the services need of PostgreSQL and SQLite beyond Django's ORM.

- `expressions`: the database's clock, its transaction ids, commits that do not wait for the disk, keys in bulk.
- `statements`: statements that the ORM compiles once per process.
- `prepared`: a statement that PostgreSQL plans once per connection. It imports psycopg, which SQLite does not need.
- `transactions`: which database takes writes, and transactions that are durable, bounded in time, or one at a time.
- `levels`: conditions on the authentication methods of a session.
- `refusing`: keeps a view from writing after its sign-in was refused.
- `sessions`: the queries for sessions.
"""
