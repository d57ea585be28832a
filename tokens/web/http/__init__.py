"""What HTTP brings and carries, whatever session it is for: cookies, paths, origins, clients and errors.

- `cookies` reads and sets the cookies of a session. `cookie_names` describes all of our cookies, and `duplicates`
  decides between several with one name. `claim_cookie` and `pending_cookie` are two that only some browsers have.
- `client`: who sent a request. `bearer`: the access token in a header. `paths`: what the path says.
- `origins`: the check that prevents cross-site request forgery. `cross_site_page`: the page for a browser that comes
  from another site. `relying_party`: the name and the origins of passkeys, and the cookie of their ceremonies.
- `problems`: every error that a client sees.
"""
