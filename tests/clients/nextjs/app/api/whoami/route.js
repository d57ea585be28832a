import { headers } from "next/headers";
import { facts } from "../../token_facts";

/** The other cookies, unchanged, as this server would forward them to another. */
const others = async () => (await headers()).get("cookie")?.split("; ").filter((pair) => !pair.startsWith("__Host-"));

export async function GET() {
  return Response.json({ ...(await facts()), others: await others() });
}

export async function POST(request) {
  return Response.json({ ...(await facts()), said: await request.text() });
}
