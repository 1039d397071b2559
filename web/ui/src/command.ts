// A command in one line for a list: the program without its directory, and of a script that was passed as an argument
// its first words, since the whole of it would say less.

const QUOTES = /^["'#!/\s]+|["'\s]+$/g;

export function shortCommand(command: readonly string[]): string {
  const [program = "", ...rest] = command;
  const name = program.replace(/\/+$/, "").split("/").at(-1) || program;
  return [name, ...rest.map(shortArgument)].join(" ");
}

function shortArgument(text: string): string {
  if (!text.includes("\n")) return text;
  const first = text
    .split("\n")
    .map((line) => line.replace(QUOTES, ""))
    .find((line) => line !== "");
  return first ? (first.endsWith(".") ? first : `${first}…`) : "…";
}
