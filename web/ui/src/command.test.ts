// Commands as the list shows them.
import { expect, test } from "vitest";
import { shortCommand } from "./command";

test.each([
  [["/bin/sleep", "1000"], "sleep 1000"],
  [["nginx", "-g", "daemon off;"], "nginx -g daemon off;"],
  [
    ["/usr/bin/python3", "-I", "-c", '"""A disk writer: 1 MiB a second."""\n\nimport os\n'],
    "python3 -I -c A disk writer: 1 MiB a second.",
  ],
  [["/bin/sh", "-c", "\ni=0\nwhile :; do :; done\n"], "sh -c i=0…"],
  [["/bin/sh", "-c", "\n\n"], "sh -c …"],
  [["/"], "/"],
  [[], ""],
])("%j", (command, line) => expect(shortCommand(command)).toBe(line));
