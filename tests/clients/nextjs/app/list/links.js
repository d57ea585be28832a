"use client";

import Link from "next/link";
import { useState } from "react";

/** Next.js prefetches all links as soon as they are visible. */
export function Links() {
  const [shown, setShown] = useState(false);
  if (!shown) return <button onClick={() => setShown(true)}>Show all</button>;
  return Array.from({ length: 8 }, (_, index) => (
    <p key={index}>
      <Link href={`/item/${index}`} prefetch>
        Item {index}
      </Link>
    </p>
  ));
}
