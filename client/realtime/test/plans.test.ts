/**
 * The promise of the session: whatever is lost, late, doubled or refused, at rest it shows what the server
 * has, no row goes back to an older state on the way, and every own write has taken effect at most once.
 *
 *   PLANS=10000 npx vitest run realtime/test/plans.test.ts     more seeds (npm run test:plans)
 *   SEED=17 npx vitest run realtime/test/plans.test.ts         one seed again
 */
import { expect, it } from "vitest";
import { planOf, type Step, shortened, World } from "./plan";

declare const process: { env: Record<string, string | undefined> };

const STEPS = 200;
const { SEED, PLANS = "1000", FROM = "0" } = process.env;
const seeds = SEED ? [Number(SEED)] : Array.from({ length: Number(PLANS) }, (_, n) => Number(FROM) + n);

function expectTruth(world: World): void {
  expect(world.sync.waiting).toBe(0);
  expect(world.sync.seq).toBe(world.server.seq);
  const all = world.server.sorted().map(({ id, values }) => ({ id, values }));
  const shown = world.shown();
  if (world.replica.complete) return expect(shown).toEqual(all);
  // Beyond the frontier only own new rows are shown; up to it, everything is.
  const byId = new Map(all.map((one) => [one.id, one]));
  for (const row of shown) expect(row).toEqual(byId.get(row.id));
  const loaded = all.filter((one) => world.replica.reaches(one.id));
  expect(shown.filter((row) => world.replica.reaches(row.id))).toEqual(loaded);
}

function expectEffects(world: World): void {
  const effects = world.server.events.flatMap((event) => event.op ?? []);
  expect(new Set(effects).size).toBe(effects.length);
  // A restored backup takes effects away, as it must.
  if (!world.restored) expect(effects.length + world.refused.length).toBe(world.submitted);
}

function run(plan: readonly Step[]): void {
  const world = new World();
  for (const step of plan) {
    world.perform(step);
    // A restored backup is an older state.
    if (!world.restored) expect(world.wentBack()).toBe(null);
    if (step.do === "rest") expectTruth(world);
  }
  world.rest();
  expectTruth(world);
  expectEffects(world);
  // Read to the very end, nothing is missing either.
  for (let n = 0; n < 12 && !world.replica.complete; n += 1) {
    world.scroll();
    world.rest();
  }
  expect(world.replica.complete).toBe(true);
  expectTruth(world);
}

function failure(plan: readonly Step[]): string | null {
  try {
    run(plan);
    return null;
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause);
  }
}

it(`keeps its promises in ${seeds.length} plans of ${STEPS} steps`, { timeout: 3_600_000 }, () => {
  const failed: string[] = [];
  for (const seed of seeds) {
    const plan = planOf(seed, STEPS);
    if (failure(plan) === null) continue;
    const least = shortened(plan, (less) => failure(less) !== null);
    const steps = least.map((step) => `  ${JSON.stringify(step)}`).join("\n");
    failed.push(`SEED=${seed}: ${failure(least)}\n${steps}`);
    if (failed.length === 5) break;
  }
  expect(failed.join("\n\n")).toBe("");
});
