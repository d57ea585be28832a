import type { NextConfig } from "next";
import { withLatchkey } from "django-latchkey-next/config";

const nextConfig: NextConfig = {
  // The image of the container gets only the files that the server needs.
  output: "standalone",
  outputFileTracingRoot: import.meta.dirname,
  turbopack: { root: import.meta.dirname },
};

export default withLatchkey(nextConfig);
