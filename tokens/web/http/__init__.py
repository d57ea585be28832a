"""What HTTP brings and carries, whatever session it is for: cookies, paths, origins, clients and errors.

- `cookies` is the only code that reads and writes cookies. `cookie_names` describes them, `duplicates` decides between
  several with one name, and `claim_cookie` and `pending_cookie` are two that only some browsers have.
- `client`: who sent a request. `bearer`: the access token in a header. `paths`: what the path says.
- `origins`: the check that prevents cross-site request forgery. `cross_site_page`: the page for a browser that comes
  from another site. `relying_party`: the name and the origins of passkeys.
- `problems`: every error that a client sees.
"""
