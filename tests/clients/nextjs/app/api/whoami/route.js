import { headers } from "next/headers";
import { facts } from "../../token_facts";

/** The other cookies, letter by letter, as this server would send them on to another. */
const others = async () => (await headers()).get("cookie")?.split("; ").filter((pair) => !pair.startsWith("__Host-"));

export async function GET() {
  return Response.json({ ...(await facts()), others: await others() });
}

export async function POST(request) {
  return Response.json({ ...(await facts()), said: await request.text() });
}
