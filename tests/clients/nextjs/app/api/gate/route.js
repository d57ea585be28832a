import { gate } from "../../gates";

export async function POST(request) {
  gate(new URL(request.url).searchParams.get("name")).open();
  return new Response(null, { status: 204 });
}
