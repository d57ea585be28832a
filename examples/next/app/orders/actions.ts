"use server";

import { session } from "django-latchkey-next";
import { redirect } from "next/navigation";
import { addOrder } from "@/lib/orders";

/** Adds an order of the signed-in user. Who that is comes from the session, and never from the form. */
export async function order(form: FormData): Promise<void> {
  const found = await session();
  if (!found) redirect("/sign-in?next=/orders");
  const article = form.get("article");
  if (typeof article !== "string" || !article.trim() || article.length > 100) throw new Error("This is no article.");
  await addOrder(found.user.id, article.trim());
  redirect("/orders");
}
