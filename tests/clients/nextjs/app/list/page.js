import { Links } from "./links";

/** Is rendered when the app is built, like /about, but shown only to signed-in users. */
export default function List() {
  return <Links />;
}
