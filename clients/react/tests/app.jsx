// A small application, which the tests render on a server, and then use in a page.
import { StrictMode, useEffect, useState } from "react";
import { SessionProvider, useSession } from "django-latchkey-react";

function Account() {
  const session = useSession();
  const { status, user, challenge, error } = session;
  const [paid, setPaid] = useState("");
  const [orders, setOrders] = useState("");
  const [refused, setRefused] = useState("");
  const told = (work) => work.then(() => setRefused(""), ({ code }) => setRefused(code));
  useEffect(() => {
    session.fetch(new URL("/api/orders", location.href)).then((response) => setOrders(String(response.status)), () => {});
  }, []);
  const fields = (form) => Object.fromEntries(new FormData(form));
  const signIn = (event) => {
    event.preventDefault();
    told(session.signIn(fields(event.target)));
  };
  const authenticate = (event) => {
    event.preventDefault();
    told(session.authenticate("password", fields(event.target).password));
  };
  const pay = () => session.fetch(new URL("/api/pay", location.href), { method: "POST", body: "all of it" }).then(({ status }) => setPaid(String(status)));
  return (
    <main>
      <p id="status">{status}</p>
      <p id="user">{user?.email}</p>
      <p id="orders">{orders}</p>
      <p id="paid">{paid}</p>
      <p id="refused">{refused}</p>
      <p id="error">{error?.message}</p>
      {(status === "anonymous" || status === "expired") && (
        <form id="sign-in" onSubmit={signIn}>
          <input name="email" />
          <input name="password" type="password" />
          <button>Sign in</button>
        </form>
      )}
      {status === "signed-in" && <button id="sign-out" onClick={() => told(session.signOut())} />}
      <button id="pay" onClick={pay} />
      <button id="end-others" onClick={() => told(session.send("DELETE", "sessions"))} />
      {challenge && (
        <form id="again" onSubmit={authenticate}>
          <p id="offered">{challenge.offered?.join()}</p>
          <input name="password" type="password" />
          <button>Go on</button>
          <button id="cancel" type="button" onClick={session.cancel} />
        </form>
      )}
    </main>
  );
}

export function App({ initialUser, options }) {
  return (
    <StrictMode>
      <SessionProvider {...options} initialUser={initialUser}>
        <Account />
      </SessionProvider>
    </StrictMode>
  );
}
