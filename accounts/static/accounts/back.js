// A page about somebody that comes back from the browser's memory may be of somebody who has signed out since: Chromium
// brings back what was sent with no-store, too. So it goes there blank, and is loaded anew.
addEventListener("pagehide", () => (document.body.hidden = true));
addEventListener("pageshow", ({ persisted }) => {
  if (persisted) location.reload();
  else document.body.hidden = false;
});
