import { Facts } from "../../facts";
import { facts } from "../../token_facts";

export default async function Item({ params }) {
  const { number } = await params;
  return (
    <main>
      <h1>Item {number}</h1>
      <Facts id="facts" facts={await facts()} />
    </main>
  );
}
