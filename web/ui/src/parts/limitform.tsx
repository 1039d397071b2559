// The limits dialog. While one types, a dry run shows the kernel writes that the change would take; applying sends the
// revision that was read, so that two people never overwrite each other unseen.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { patchLimits, Problem, readLimits } from "../api";
import type { KernelWrite, LimitsDocument } from "../wire";
import { LEASES, NO_WISH, wishOf } from "../limitwish";
import { limiting } from "./actions";
import { Dialog } from "./dialog";
import { Fields } from "./limitfields";
import { say } from "./notice";
import { Writes } from "./writes";

const DRY_RUN_MS = 250;

interface Read {
  document: LimitsDocument;
  etag: string;
}

export function LimitDialog() {
  const name = limiting.value;
  return name === null ? null : <Form key={name} name={name} onClose={() => (limiting.value = null)} />;
}

function Form({ name, onClose }: { name: string; onClose: () => void }) {
  const read = useSignal<Read | null>(null);
  const typed = useSignal<Record<string, string>>({});
  const lease = useSignal("");
  const force = useSignal(false);
  const plan = useSignal<KernelWrite[] | null>(null);
  const problem = useSignal<Problem | null>(null);
  const busy = useSignal(false);

  const reload = async (): Promise<void> => {
    try {
      read.value = await readLimits(name);
    } catch (error) {
      problem.value = asProblem(error);
    }
  };
  useEffect(() => void reload(), [name]);

  const wish = read.value ? wishOf(read.value.document, typed.value) : NO_WISH;
  const ready = Object.keys(wish.patch).length > 0 && Object.keys(wish.problems).length === 0;
  const asked = JSON.stringify([wish.patch, force.value, lease.value, read.value?.etag]);
  const send = (dryRun: boolean, signal?: AbortSignal) =>
    patchLimits(
      name,
      {
        patch: wish.patch,
        dryRun,
        force: force.value,
        leaseSec: LEASES[lease.value] ?? null,
        etag: read.value?.etag ?? "",
      },
      signal,
    );

  useDryRun(asked, ready, async (signal) => {
    plan.value = null;
    problem.value = null;
    if (!ready) return;
    try {
      plan.value = (await send(true, signal)).writes;
    } catch (error) {
      if (!signal.aborted) problem.value = asProblem(error);
    }
  });

  const apply = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (!ready || busy.value) return;
    busy.value = true;
    try {
      const outcome = await send(false);
      say(
        outcome.changed
          ? `${name}: limits changed (${outcome.status})`
          : `${name}: those limits were in force already`,
      );
      onClose();
    } catch (error) {
      problem.value = asProblem(error);
      if (problem.value.status === 412) await reload();
    } finally {
      busy.value = false;
    }
  };

  return (
    <Dialog title={`Limits of ${name}`} wide onClose={onClose}>
      <form class="limit-form" onSubmit={(event) => void apply(event)}>
        {!read.value && !problem.value && <p class="muted">Reading the kernel…</p>}
        {read.value && (
          <Fields
            document={read.value.document}
            typed={typed.value}
            problems={wish.problems}
            onType={(field, text) => (typed.value = { ...typed.value, [field]: text })}
          />
        )}
        <Preview
          ready={ready}
          flawed={Object.keys(wish.problems).length > 0}
          plan={plan.value}
          problem={problem.value}
        />
        <footer>
          <label class="lease">
            keep{" "}
            <select value={lease.value} onChange={(event) => (lease.value = event.currentTarget.value)}>
              <option value="">until changed again</option>
              {Object.keys(LEASES).map((text) => (
                <option key={text} value={text}>
                  for {text}, then restore
                </option>
              ))}
            </select>
          </label>
          {(problem.value?.kind === "owner-conflict" ||
            problem.value?.kind === "below-usage" ||
            force.value) && (
            <label class="check">
              <input
                type="checkbox"
                checked={force.value}
                onChange={(event) => (force.value = event.currentTarget.checked)}
              />{" "}
              do it all the same
            </label>
          )}
          <span class="spacer" />
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="primary" disabled={!ready || busy.value || plan.value === null}>
            {busy.value ? "Applying…" : "Apply"}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

function useDryRun(asked: string, ready: boolean, run: (signal: AbortSignal) => Promise<void>): void {
  const first = useRef(true);
  useEffect(() => {
    if (first.current && !ready) return undefined;
    first.current = false;
    const abort = new AbortController();
    const timer = setTimeout(() => void run(abort.signal), DRY_RUN_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [asked, ready]);
}

function Preview({
  ready,
  flawed,
  plan,
  problem,
}: {
  ready: boolean;
  flawed: boolean;
  plan: KernelWrite[] | null;
  problem: Problem | null;
}) {
  return (
    <div class="preview" aria-live="polite">
      {problem && (
        <p class="bad">
          {problem.message}
          {problem.hint && <span class="muted"> {problem.hint}</span>}
        </p>
      )}
      {!problem && !ready && (
        <p class="muted">
          {flawed ? "Correct what is marked." : "Change a value to see what would be written to the kernel."}
        </p>
      )}
      {!problem && ready && plan === null && <p class="muted">Planning…</p>}
      {!problem &&
        ready &&
        plan &&
        (plan.length > 0 ? (
          <Writes writes={plan} planned />
        ) : (
          <p class="muted">Nothing would be written: these values are in force.</p>
        ))}
    </div>
  );
}

function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  throw error;
}
