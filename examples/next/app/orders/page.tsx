import { session } from "django-latchkey-next";
import { redirect } from "next/navigation";
import { ordersOf } from "@/lib/orders";
import { order } from "./actions";
import { SignOut } from "./sign-out";

export default async function Orders() {
  const found = await session();
  // The session has ended after the guard has let this request through.
  if (!found) redirect("/sign-in?next=/orders");
  const orders = await ordersOf(found.user.id);
  return (
    <main>
      <h1>The orders of {found.user.name}</h1>
      <ul>
        {orders.map(({ id, article, orderedAt }) => (
          <li key={id}>
            {article}, <time dateTime={orderedAt.toISOString()}>{orderedAt.toUTCString()}</time>
          </li>
        ))}
      </ul>
      <form action={order}>
        <label>
          Article <input name="article" required maxLength={100} />
        </label>
        <button>Order</button>
      </form>
      <p>
        <a href="/devices">Your devices</a>
      </p>
      <SignOut />
    </main>
  );
}
