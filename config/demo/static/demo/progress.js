// Keeps what was done in this tab, over a new sign-in: the steps with a tick, the diagram, and its sentences.
//
// It is in the tab's own storage, which the browser deletes when the tab is closed. It contains no token, and nothing by
// which somebody could sign in.

const KEY = "latchkey-demo";
const NOTHING = { done: [], events: [], log: [], before: null };

function load() {
  try {
    return { ...NOTHING, ...JSON.parse(sessionStorage.getItem(KEY)) };
  } catch {
    return { ...NOTHING }; // The browser permits no storage.
  }
}

export const progress = load();

export function save() {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(progress));
  } catch {
    // The page works without it.
  }
}

/** Marks a step as done. */
export function tick(item) {
  item.dataset.done = "";
  if (!progress.done.includes(item.id)) progress.done.push(item.id);
  save();
}

for (const id of progress.done) document.getElementById(id)?.setAttribute("data-done", "");
