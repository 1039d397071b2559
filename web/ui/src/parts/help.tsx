// The keys, from the same table that serves them.

import { signal } from "@preact/signals";
import { knownKeys } from "../keys";
import { Dialog } from "./dialog";

export const helping = signal(false);

export function Help() {
  if (!helping.value) return null;
  return (
    <Dialog title="Keys" onClose={() => (helping.value = false)}>
      <dl class="keys">
        {knownKeys().map((key) => (
          <div key={key.keys}>
            <dt>
              {key.keys.split(" ").map((part) => (
                <kbd key={part}>{part}</kbd>
              ))}
            </dt>
            <dd>{key.does}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
