"use client";

import { useState } from "react";
import { Facts } from "../facts";

/** Calls a server action by script. A rejected action throws an error; on Next.js 14 it returns undefined. */
export function NoteForm({ action }) {
  const [result, setResult] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    const given = new FormData(event.target);
    setResult((await action(given).catch(() => undefined)) ?? "refused");
  };
  return (
    <form onSubmit={submit}>
      <input name="note" aria-label="Note" />
      <button>Save</button>
      {result === "refused" ? (
        <p role="alert">
          Not saved: try again, or <a href="/account">load the page anew</a>.
        </p>
      ) : (
        result && <Facts id="result" facts={result} />
      )}
    </form>
  );
}
