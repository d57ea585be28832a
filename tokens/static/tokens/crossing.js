// Refreshes the session, and then goes on to the same URL: see `tokens.web.http.cross_site_page`. With `keepalive` the browser keeps
// the answer even if another site, which has opened this tab, leads it away.
const { refresh } = document.currentScript.dataset;

function goOn() {
  const { href } = location;
  if (href.includes("#")) {
    // To its own URL with a fragment the browser would only scroll, so the page gets another URL first.
    const other = new URL(href);
    other.hash = "";
    other.search += "&";
    history.replaceState(null, "", other);
  }
  location.replace(href);
}

// In a sandboxed frame's window a refresh has no cookies, and going on would lead here again. Without `keepalive`, and
// after a refresh that was not answered, the other site could cancel the next request. Then the user follows the link.
if (self.origin !== "null" && "keepalive" in Request.prototype) {
  const options = { method: "POST", keepalive: true, cache: "no-store", redirect: "manual" };
  fetch(refresh, options).then(({ ok, status, type }) => {
    // A redirect says that the session is bound to its device: the browser refreshes it before the next request.
    if (ok || type === "opaqueredirect" || status === 401 || status === 404) goOn();
  }, () => {});
}
