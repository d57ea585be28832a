"""What can be done with sessions; the only place that writes rows.

`opening` a session, `refreshing` it by the protocol or by its device's key (`binding`), `ending` it, what a signed-in
person may change about it (`keeping`), and the `purge` of what is past its retention. `feed` and `acknowledgements`
are what a process remembers between requests, `events` what is written down for later, `client` who asks.
"""
