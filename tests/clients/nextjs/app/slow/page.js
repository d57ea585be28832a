import { Suspense } from "react";
import { Facts } from "../facts";
import { gate } from "../gates";
import { facts } from "../token_facts";

/** Waits for a gate, and only then reads the token. */
async function Late({ name }) {
  await gate(name).opened;
  return <Facts id="late" facts={await facts()} />;
}

export default async function Slow({ searchParams }) {
  const { gate } = await searchParams;
  return (
    <main>
      <Facts id="facts" facts={await facts()} />
      <Suspense fallback={<p>Just a moment …</p>}>
        <Late name={gate} />
      </Suspense>
    </main>
  );
}
