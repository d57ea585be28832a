import { Links } from "./links";

/** Rendered when the app is built, like /about, and for those who are signed in alone. */
export default function List() {
  return <Links />;
}
