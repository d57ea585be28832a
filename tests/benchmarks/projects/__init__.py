"""A small Django project for each peer, set up as its authors advise, and equal in all else.

Each is a package with ``settings`` and ``urls``; what is equal is in `common` and `views`. The environment says where
the database is (``DATABASE_URL``; each project has one of its own) and where Redis is (``REDIS_URL``); ``TOKENS_…``
reach Latchkey alone, whose protocol has its default durations otherwise. `populate` makes tables and users, `wsgi` is
what a server runs.
"""
