"""A small Django project for each peer, set up as its authors advise and otherwise the same.

The environment names the peer (``PROJECT``), its database (``DATABASE_URL``; each peer has its own) and Redis
(``REDIS_URL``). Variables ``TOKENS_…`` configure Latchkey only. Without them its protocol has its default durations.
"""
