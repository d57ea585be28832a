/** Is rendered when the app is built. Next.js allows shared caches to store such a page for a year. */
export default function About() {
  return <h1>About</h1>;
}
