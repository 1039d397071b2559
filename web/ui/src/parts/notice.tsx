// One line of news at the bottom: what a button did, or why it could not. A live region, so that it is spoken too.

import { signal } from "@preact/signals";
import { Problem } from "../api";

interface Notice {
  text: string;
  hint: string;
  bad: boolean;
}

const SHOWN_MS = 7000;
const current = signal<Notice | null>(null);
let timer: ReturnType<typeof setTimeout> | undefined;

export function say(text: string, bad = false, hint = ""): void {
  clearTimeout(timer);
  current.value = { text, bad, hint };
  timer = setTimeout(() => (current.value = null), SHOWN_MS);
}

export function sayProblem(error: unknown): void {
  if (!(error instanceof Problem)) throw error;
  say(error.message, true, error.hint);
}

export function NoticeBar() {
  const notice = current.value;
  return (
    <div class="notice-place" role="status" aria-live="polite">
      {notice && (
        <div class={`notice${notice.bad ? " bad" : ""}`}>
          <span>{notice.text}</span>
          {notice.hint && <span class="muted">{notice.hint}</span>}
          <button type="button" class="plain" aria-label="Dismiss" onClick={() => (current.value = null)}>
            ×
          </button>
        </div>
      )}
    </div>
  );
}
