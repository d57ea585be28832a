/**
 * Passkeys on pages: sign in, answer, create, and tell the browser which ones there are (WebAuthn Level 3).
 *
 * The templates say by `data-passkey` what each part of a page does. Without this script those parts stay hidden. The
 * script uses the browser's own JSON functions and no library.
 */

const RENEW_AFTER = 4 * 60_000; // Milliseconds. The server accepts an answer to its options for five minutes.
const RENEWAL = new DOMException("The options are fetched anew.", "AbortError");

const isAble =
  typeof globalThis.PublicKeyCredential === "function" &&
  "parseCreationOptionsFromJSON" in PublicKeyCredential &&
  "parseRequestOptionsFromJSON" in PublicKeyCredential &&
  "toJSON" in PublicKeyCredential.prototype;

/** Returns the server's answer to a form of this page. `part` says at which URL its options are. */
async function post(part, url, fields) {
  const { value } = part.closest("form").elements.namedItem("csrfmiddlewaretoken");
  const body = new URLSearchParams({ ...fields, csrfmiddlewaretoken: value });
  return fetch(url, { method: "POST", body, headers: { Accept: "application/json" } });
}

/** Returns the server's options for one of the purposes that it knows. */
async function optionsFor(part, purpose, more = {}) {
  const response = await post(part, part.dataset.options, { for: purpose, ...more });
  if (!response.ok) throw new Error(`The server answered ${response.status}.`);
  return (await response.json()).options;
}

/** Asks the browser for an answer by a passkey, and returns its JSON. */
async function answerFor(part, purpose, more = {}) {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(await optionsFor(part, purpose));
  return JSON.stringify(await navigator.credentials.get({ publicKey, ...more }));
}

/** Lets the browser create a passkey, and returns its JSON. */
async function created(part, purpose = "create") {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(await optionsFor(part, purpose));
  return JSON.stringify(await navigator.credentials.create({ publicKey }));
}

/** Lets the browser create a passkey without asking, if it does that, and returns its JSON. */
async function createdQuietly(part, signal) {
  const options = await optionsFor(part, "create", { quiet: "on" });
  options.authenticatorSelection.residentKey = "required";
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  return JSON.stringify(await navigator.credentials.create({ publicKey, signal, mediation: "conditional" }));
}

/** Sends a form with these values, in the place of fields that have the same names. */
function send(form, values) {
  for (const [name, value] of Object.entries(values)) {
    // A password manager must not take the answer for a password.
    for (const field of form.querySelectorAll(`[name="${name}"]`)) field.disabled = true;
    form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
  }
  form.requestSubmit();
}

/** What the server says to the person. */
class Refusal extends Error {}

/** Does the work, and shows why it failed. Returns whether it did not. */
async function attempt(part, work) {
  const alert = part.querySelector("[role=alert]");
  const buttons = [...part.querySelectorAll("button")];
  for (const button of buttons) button.disabled = true;
  alert.hidden = true;
  try {
    await work();
    return true;
  } catch (error) {
    const { cancelled, exists, failed } = alert.dataset;
    const texts = { NotAllowedError: cancelled, AbortError: cancelled, InvalidStateError: exists };
    alert.textContent = error instanceof Refusal ? error.message : (texts[error.name] ?? failed);
    alert.hidden = false;
    return false;
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

/** Shows what needs this script, or that the browser is not able to. Returns whether it is. */
function reveal(part) {
  for (const element of [part, ...part.querySelectorAll("[data-able], [data-unable]")]) {
    if ("able" in element.dataset) element.hidden = !isAble;
    if ("unable" in element.dataset) element.hidden = isAble;
  }
  return isAble;
}

/** The page to sign in: a button, and the browser's suggestions in the field for the user name. */
function signIn(form) {
  let asking; // Aborts the suggestions.
  let begun = 0;
  let running; // A promise, while the browser suggests passkeys.
  let isPressed = false;

  async function enter(answer) {
    const fields = { answer, next: form.elements.namedItem("next")?.value ?? "" };
    if (document.querySelector("form [name=remember]")?.checked) fields.remember = "on";
    const response = await post(form, form.action, fields);
    const { next, accepted, code, detail } = await response.json();
    if (code === "factor_required" && form.dataset.secondStep) {
      location.assign(`${form.dataset.secondStep}?${new URLSearchParams({ next: fields.next })}`);
    } else if (response.ok) {
      await tell(accepted);
      location.assign(next);
    } else {
      if (code === "passkey_unknown") await forget(form, answer);
      throw new Refusal(detail);
    }
  }

  async function suggest() {
    if (!(await PublicKeyCredential.isConditionalMediationAvailable?.())) return;
    for (;;) {
      asking = new AbortController();
      begun = Date.now();
      const timer = setTimeout(() => asking.abort(RENEWAL), RENEW_AFTER);
      try {
        const answer = await answerFor(form, "sign-in", { mediation: "conditional", signal: asking.signal });
        // Timers stop while a machine sleeps. Then the options are too old, and the person is asked once more.
        const isTooOld = Date.now() - begun > RENEW_AFTER;
        await attempt(form, async () => enter(isTooOld ? await answerFor(form, "sign-in") : answer));
        return;
      } catch {
        if (asking.signal.reason !== RENEWAL) return;
      } finally {
        clearTimeout(timer);
      }
    }
  }

  const start = () => (running ??= suggest().finally(() => (running = undefined)));
  const renew = () => {
    if (document.hidden || isPressed) return;
    if (!running) start();
    else if (Date.now() - begun >= RENEW_AFTER) asking?.abort(RENEWAL);
  };

  form.querySelector("button").addEventListener("click", async () => {
    isPressed = true;
    asking?.abort(); // A browser asks for one passkey at a time.
    await running;
    isPressed = await attempt(form, async () => enter(await answerFor(form, "sign-in")));
    renew();
  });
  document.addEventListener("visibilitychange", renew);
  start();
}

/** A form that asks for a factor: a passkey answers in the place of a password or a code. */
function answer(part) {
  const form = part.closest("form");
  const [field, purpose] = form.elements.namedItem("answer") ? ["answer", "second-step"] : ["current_password", "prove"];
  part.querySelector("button").addEventListener("click", () =>
    attempt(part, async () => {
      const typed = [...form.querySelectorAll(`[name="${field}"]`)];
      for (const element of typed) element.disabled = true; // It need not be filled in.
      const isComplete = form.reportValidity();
      for (const element of typed) element.disabled = false;
      if (!isComplete) return;
      send(form, { method: part.dataset.method, [field]: await answerFor(part, purpose) });
    }),
  );
}

/** The second step of a sign-in in which the user sets up a passkey. */
function enrol(part) {
  const { method } = part.dataset;
  part.querySelector("button").addEventListener("click", () =>
    attempt(part, async () => send(part.closest("form"), { method, answer: await created(part, "enrolment") })),
  );
}

/** A form that creates a passkey before it is sent. */
function create(form, before = async () => {}) {
  const field = form.elements.namedItem("credential");
  field.value = ""; // The browser may have kept what was refused.
  form.addEventListener("submit", (event) => {
    if (field.value || event.submitter?.hasAttribute("formnovalidate")) return;
    event.preventDefault();
    attempt(form, async () => {
      await before();
      field.value = await created(form);
      form.requestSubmit();
    });
  });
}

/** The page that offers to create a passkey after a sign-in by password. The browser may do it without asking. */
async function offer(form) {
  const waiting = new AbortController();
  const quietly = async () => {
    const { conditionalCreate } = (await PublicKeyCredential.getClientCapabilities?.()) ?? {};
    if (conditionalCreate) send(form, { credential: await createdQuietly(form, waiting.signal) });
  };
  const running = quietly().catch(() => {}); // If the browser does not create one, the page asks.
  create(form, () => {
    waiting.abort(); // A browser creates one passkey at a time.
    return running;
  });
}

/** Tells the browser which passkeys an account has, and its name, so that it offers no others. */
async function tell({ rp_id: rpId, user_handle: userId, user_name: name, credential_ids: allAcceptedCredentialIds }) {
  if (!userId) return;
  await PublicKeyCredential.signalAllAcceptedCredentials?.({ rpId, userId, allAcceptedCredentialIds }).catch(() => {});
  await PublicKeyCredential.signalCurrentUserDetails?.({ rpId, userId, name, displayName: name }).catch(() => {});
}

/** Tells the browser that nobody has this passkey any more. */
async function forget(form, answer) {
  const { rpId } = await optionsFor(form, "sign-in");
  const { id: credentialId } = JSON.parse(answer);
  await PublicKeyCredential.signalUnknownCredential?.({ rpId, credentialId }).catch(() => {});
}

const signal = ({ dataset }) => tell(JSON.parse(dataset.accepted));

/** Says in a hidden field that this device can keep a passkey, so that one is offered after the sign-in. */
async function hint(field) {
  if (await PublicKeyCredential.isUserVerifyingPlatformAuthenticatorAvailable()) field.value = "on";
}

// A page that comes back from the browser's memory may have sent its form, with fields that it has disabled.
addEventListener("pageshow", ({ persisted }) => persisted && location.reload());

const parts = { "sign-in": signIn, answer, enrol, create, offer, signal, hint };
for (const part of document.querySelectorAll("[data-passkey]")) {
  if (reveal(part)) parts[part.dataset.passkey](part);
  else if (part.dataset.passkey === "offer") location.replace(part.dataset.next);
}
