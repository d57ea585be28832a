import { claims } from "django-latchkey-next";

/** Is for everybody. It asks Latchkey nothing, so it is shown also while Latchkey does not answer. */
export default async function Home() {
  const isSignedIn = (await claims()) !== null;
  return (
    <main>
      <h1>The shop</h1>
      <p>
        <a href="/orders">{isSignedIn ? "Your orders" : "Sign in to see your orders"}</a>
      </p>
    </main>
  );
}
