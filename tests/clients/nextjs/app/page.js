import { Facts } from "./facts";
import { facts } from "./token_facts";

export default async function Home() {
  return (
    <main>
      <h1>Everybody’s page</h1>
      <Facts id="facts" facts={await facts()} />
    </main>
  );
}
