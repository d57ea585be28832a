// `node populate.mjs 1000` creates the tables and so many users.

import { migrate, populate } from "./auth.mjs";

await migrate();
await populate(Number(process.argv[2]));
process.exit();
