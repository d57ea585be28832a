/** Shows the facts of a session to the tests, as JSON. */
export function Facts({ id, facts }) {
  return <pre data-testid={id}>{JSON.stringify(facts)}</pre>;
}
