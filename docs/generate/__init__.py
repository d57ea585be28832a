"""Writes the tables of the reference from the code: ``python -m docs.generate``.

A page of ``docs/reference/`` has a table between two comments::

    <!-- generated: settings -->
    …
    <!-- end -->

What stands outside of the comments is written by hand. `tests/test_docs.py` fails if a table is not current.
"""
