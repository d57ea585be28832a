import Link from "next/link";
import { redirect } from "next/navigation";
import { keep } from "../actions";
import { Facts } from "../facts";
import { noteOf } from "../notes";
import { facts } from "../token_facts";
import { NoteForm } from "./note_form";
import { SignOut } from "./sign_out";

async function save(form) {
  "use server";
  await keep(form);
  redirect("/account?saved");
}

export default async function Account() {
  const found = await facts();
  return (
    <main>
      <h1>Your account</h1>
      <Facts id="facts" facts={found} />
      <p data-testid="note">{noteOf(found.sub)}</p>
      <NoteForm action={keep} />
      <form action={save}>
        <input name="note" aria-label="Plain note" />
        <button>Save plainly</button>
      </form>
      <Link href="/list" prefetch={false}>
        The list
      </Link>
      <SignOut />
    </main>
  );
}
