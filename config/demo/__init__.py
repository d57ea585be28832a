"""For development only: the demo of the protocol, the mailbox, and the command ``manage.py demo``.

`config.settings` installs this app if DEBUG is on. Nothing in production needs it.
"""
