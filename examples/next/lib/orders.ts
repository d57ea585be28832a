/** The orders, in the application's own schema. Each function takes the id of the user, which Latchkey has verified. */

import { Pool } from "pg";

export interface Order {
  readonly id: string;
  readonly article: string;
  readonly orderedAt: Date;
}

// In development Next.js loads this module again after each change.
const kept = globalThis as { pool?: Pool };
const pool = (): Pool => (kept.pool ??= new Pool({ connectionString: process.env.DATABASE_URL, max: 10 }));

export async function ordersOf(userId: string): Promise<readonly Order[]> {
  const { rows } = await pool().query<Order>(
    'SELECT id, article, ordered_at AS "orderedAt" FROM orders WHERE user_id = $1 ORDER BY id DESC LIMIT 100',
    [userId],
  );
  return rows;
}

export async function addOrder(userId: string, article: string): Promise<void> {
  await pool().query("INSERT INTO orders (user_id, article) VALUES ($1, $2)", [userId, article]);
}
