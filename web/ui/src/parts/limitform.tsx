// The limits dialog. While one types, a dry run shows the kernel writes that the change would take; applying sends the
// revision that was read, so that two people never overwrite each other unseen.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { patchLimits, Problem, readLimits } from "../api";
import { fieldTitle } from "../eventtext";
import { duration, limit, unix } from "../format";
import { now } from "../store";
import { parseLimit, typedForm } from "../units";
import type { KernelWrite, LimitField, LimitValue, LimitsDocument } from "../wire";
import { limiting } from "./actions";
import { Dialog } from "./dialog";
import { say } from "./notice";
import { Writes } from "./writes";

const FIELDS: Record<string, string> = {
  memory_max_bytes: "64M, 1.5G or max",
  memory_high_bytes: "48M or max",
  memory_swap_max_bytes: "0, 64M or max",
  cpu_max_cores: "0.5, 150% or max",
  cpu_shares: "2 to 262144",
  cpuset_cpus: "0-3,8",
  pids_max: "50 or max",
  blkio_weight: "10 to 1000",
};
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

  const wish = read.value ? wishOf(read.value.document, typed.value) : EMPTY;
  const ready = Object.keys(wish.patch).length > 0 && Object.keys(wish.problems).length === 0;
  const asked = JSON.stringify([wish.patch, force.value, lease.value, read.value?.etag]);
  const send = (dryRun: boolean, signal?: AbortSignal) =>
    patchLimits(name, { patch: wish.patch, dryRun, force: force.value, leaseSec: LEASES[lease.value] ?? null, etag: read.value?.etag ?? "" }, signal);

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
      say(outcome.changed ? `${name}: limits changed (${outcome.status})` : `${name}: those limits were in force already`);
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
        {read.value && <Fields document={read.value.document} typed={typed.value} problems={wish.problems} onType={(field, text) => (typed.value = { ...typed.value, [field]: text })} />}
        <Preview ready={ready} plan={plan.value} problem={problem.value} />
        <footer>
          <label class="lease">
            keep{" "}
            <select value={lease.value} onChange={(event) => (lease.value = event.currentTarget.value)}>
              <option value="">until changed again</option>
              {Object.keys(LEASES).map((text) => <option key={text} value={text}>for {text}, then restore</option>)}
            </select>
          </label>
          {(problem.value?.kind === "owner-conflict" || problem.value?.kind === "below-usage" || force.value) && (
            <label class="check">
              <input type="checkbox" checked={force.value} onChange={(event) => (force.value = event.currentTarget.checked)} /> do it all the same
            </label>
          )}
          <span class="spacer" />
          <button type="button" onClick={onClose}>Cancel</button>
          <button type="submit" class="primary" disabled={!ready || busy.value || plan.value === null}>{busy.value ? "Applying…" : "Apply"}</button>
        </footer>
      </form>
    </Dialog>
  );
}

const LEASES: Record<string, number> = { "1 minute": 60, "10 minutes": 600, "1 hour": 3600, "8 hours": 28800 };

interface Wish {
  patch: Record<string, LimitValue>;
  problems: Record<string, string>;
}
const EMPTY: Wish = { patch: {}, problems: {} };

/** Only what differs from the value in force is sent. */
function wishOf(document: LimitsDocument, typed: Record<string, string>): Wish {
  const wish: Wish = { patch: {}, problems: {} };
  for (const [field, text] of Object.entries(typed)) {
    const inForce = document.fields[field]?.value ?? null;
    if (text.trim() === typedForm(field, inForce)) continue;
    const parsed = parseLimit(field, text);
    if ("problem" in parsed) wish.problems[field] = parsed.problem;
    else if (parsed.value !== inForce) wish.patch[field] = parsed.value;
  }
  return wish;
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

interface FieldsProps {
  document: LimitsDocument;
  typed: Record<string, string>;
  problems: Record<string, string>;
  onType: (field: string, text: string) => void;
}

function Fields({ document, typed, problems, onType }: FieldsProps) {
  const offered = Object.keys(FIELDS).filter((field) => document.fields[field] && document.fields[field].value !== null);
  return (
    <div class="fields">
      {offered.map((field, i) => {
        const known = document.fields[field] as LimitField;
        return (
          <div class="field" key={field}>
            <label for={`limit-${field}`}>{fieldTitle(field)}</label>
            <div>
              <input id={`limit-${field}`} name={field} autocomplete="off" spellcheck={false} placeholder={FIELDS[field]} autofocus={i === 0} aria-invalid={field in problems}
                aria-describedby={`about-${field}`} value={typed[field] ?? typedForm(field, known.value)} onInput={(event) => onType(field, event.currentTarget.value)} />
              <small id={`about-${field}`} class={field in problems ? "bad" : "muted"}>{problems[field] ?? aboutField(field, known)}</small>
            </div>
          </div>
        );
      })}
    </div>
  );
}

function aboutField(field: string, known: LimitField): string {
  const parts = [known.owner ? `set by ${known.owner}` : "no owner"];
  if (known.baseline != null && known.baseline !== known.value) parts.push(`was ${limit(field, known.baseline)}`);
  const ends = unix(known.expires_at);
  if (ends !== null) parts.push(`ends in ${duration(ends - now.value)}`);
  return parts.join(" · ");
}

function Preview({ ready, plan, problem }: { ready: boolean; plan: KernelWrite[] | null; problem: Problem | null }) {
  return (
    <div class="preview" aria-live="polite">
      {problem && (
        <p class="bad">
          {problem.message}
          {problem.hint && <span class="muted"> {problem.hint}</span>}
        </p>
      )}
      {!problem && !ready && <p class="muted">Change a value to see what would be written to the kernel.</p>}
      {!problem && ready && plan === null && <p class="muted">Planning…</p>}
      {!problem && ready && plan && (plan.length > 0 ? <Writes writes={plan} planned /> : <p class="muted">Nothing would be written: these values are in force.</p>)}
    </div>
  );
}

function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  throw error;
}
