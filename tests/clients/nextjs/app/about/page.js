/** Rendered when the app is built: Next.js lets shared caches keep such a page for a year. */
export default function About() {
  return <h1>About</h1>;
}
