"""What can be done with an account, by any door: the API and the pages call these, and nothing else.

`registration`, `addresses` (confirming one, changing one), `passwords`, `deletion`, and the `alarm`. What concerns a
stranger answers everybody alike: the same statements, one password hash, and a mail that nobody waits for, whether
there is an account or not. Each change is one transaction with its event and with the end of the sessions that it
ends; mail goes out after it. Call them outside a transaction.
"""
