// The end of the container's log. Its bytes are hostile: they reach the page as text nodes, without escape sequences.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Problem, readLog } from "../api";
import { clock, plain, unix } from "../format";
import { gapEpoch, paused } from "../store";
import type { LogLine } from "../wire";

const TAIL = 200;
const EVERY_MS = 2000;

export function LogTail({ name, ended }: { name: string; ended: boolean }) {
  const lines = useSignal<LogLine[] | null>(null);
  const box = useRef<HTMLPreElement>(null);
  const stuck = useRef(true);
  useEffect(() => {
    const abort = new AbortController();
    const read = (): void => {
      if (document.hidden || paused.peek()) return;
      readLog(name, TAIL, abort.signal).then(
        (list) => {
          if (differs(lines.peek(), list)) lines.value = list;
        },
        (error: unknown) => {
          if (!(error instanceof Problem) && !abort.signal.aborted) throw error;
        },
      );
    };
    read();
    const timer = ended ? undefined : setInterval(read, EVERY_MS);
    return () => {
      clearInterval(timer);
      abort.abort();
    };
  }, [name, ended, gapEpoch.value]);
  useEffect(() => {
    if (box.current && stuck.current) box.current.scrollTop = box.current.scrollHeight;
  }, [lines.value]);
  const watchScroll = (): void => {
    const pre = box.current;
    if (pre) stuck.current = pre.scrollHeight - pre.scrollTop - pre.clientHeight < 30;
  };
  return (
    <section class="log" aria-labelledby="log">
      <h2 id="log">Log</h2>
      {lines.value?.length === 0 ? (
        <p class="muted">It has not written anything.</p>
      ) : (
        <pre ref={box} tabIndex={0} aria-label="The last lines of the log" onScroll={watchScroll}>
          {lines.value?.map((line, i) => (
            <div key={i} class={line.stream}>
              <time>{clock(unix(line.time) ?? 0)}</time>
              <span>{plain(line.data)}</span>
            </div>
          ))}
        </pre>
      )}
    </section>
  );
}

function differs(before: readonly LogLine[] | null, after: readonly LogLine[]): boolean {
  if (!before || before.length !== after.length) return true;
  const a = before.at(-1);
  const b = after.at(-1);
  return a?.time !== b?.time || a?.data !== b?.data;
}
