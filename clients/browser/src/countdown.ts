/** How much is left of a token's lifetime, or of a pause. */

const LEAD = 60_000; // A token is refreshed by requests in its last minute, or in the last quarter of a short lifetime.

/**
 * Counts down milliseconds by two local clocks, and uses the one that is ahead. The date may be set back, and
 * `performance.now()` may stop while the machine sleeps.
 */
export class Countdown {
  total: number;
  readonly wall: number;
  /** The expiry by the server's clock, which identifies a token. */
  end: string | undefined;
  readonly #monotonic = performance.now();

  constructor(total: number, wall = Date.now(), end: string | undefined = undefined) {
    this.total = total;
    this.wall = wall;
    this.end = end;
  }

  get left(): number {
    return this.total - Math.max(Date.now() - this.wall, performance.now() - this.#monotonic);
  }

  get isDue(): boolean {
    return this.left < Math.min(LEAD, this.total / 4);
  }
}
