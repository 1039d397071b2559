// Kernel writes as a table: the file, what stood in it, what was written and what was read back. The same table shows
// a dry run, where nothing was written yet.

import type { KernelWrite } from "../wire";

export function Writes({ writes, planned = false }: { writes: readonly KernelWrite[]; planned?: boolean }) {
  return (
    <table class="writes">
      <thead>
        <tr>
          <th scope="col">kernel file</th>
          <th scope="col">before</th>
          <th scope="col">{planned ? "would write" : "written"}</th>
          {!planned && <th scope="col">read back</th>}
        </tr>
      </thead>
      <tbody>
        {writes.map((write, i) => {
          const wanted = write.value ?? write.wanted ?? "";
          const back = write.read_back ?? write.readback;
          return (
            <tr key={i}>
              <td>
                <code>{write.file}</code>
              </td>
              <td>
                <code>{write.before ?? "–"}</code>
              </td>
              <td>
                <code>{wanted}</code>
              </td>
              {!planned && (
                <td class={agrees(wanted, back) ? "agrees" : "differs"}>
                  <code>{back ?? (write.errno ? `errno ${write.errno}` : "–")}</code>
                </td>
              )}
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

/** What the kernel says now is what was written; "max" and -1 it may spell in its own way. */
function agrees(wanted: string, back: string | null | undefined): boolean {
  return back != null && back.trim() === wanted.trim();
}
