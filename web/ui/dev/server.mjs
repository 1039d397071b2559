// Serves the built dashboard and a made-up API for developing it: `npm run build && npm run dev`, then open the printed
// address. Nothing here is shipped; the browser tests run against the real daemon.
import { createServer } from "node:http";
import { existsSync, readFileSync } from "node:fs";
import { extname, join, normalize } from "node:path";
import { hostOf } from "./readings.mjs";
import { World } from "./world.mjs";

const DIST = new URL("../dist/", import.meta.url).pathname;
const PORT = Number(process.env.PORT ?? 9399);
const KINDS = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const clock = () => Date.now() / 1000;
const world = process.env.EMPTY
  ? Object.assign(new World(clock()), { containers: new Map(), events: [], decisions: [] })
  : new World(clock());
const clients = new Set();
let signedIn = process.env.LOGIN !== "1";
world.onEvent = (event) => send("event", event);
setInterval(() => {
  if (process.env.STALL) return;
  world.step(clock());
  send("host", hostOf(world.containers.values(), clock()));
  send("containers", { wall_time: clock(), containers: rows() });
}, 1000);

function send(kind, data) {
  for (const client of clients) client.write(`event: ${kind}\ndata: ${JSON.stringify(data)}\n\n`);
}

const inspect = ({ history, ...one }) => one;
const rows = () =>
  [...world.containers.values()].map(({ history, owners, holders, cgroups, inode, ...one }) => one);

function columns(history, metrics, since) {
  const kept = history.filter(([t]) => t >= clock() - since);
  const column = (metric) => kept.map(([, usage]) => usage[metric] ?? null);
  const three = (values) => ({ min: values, avg: values, max: values });
  return {
    t: kept.map(([t]) => t),
    metrics: Object.fromEntries(metrics.map((metric) => [metric, three(column(metric))])),
  };
}

function limitsOf(one) {
  const fields = {
    memory_high_bytes: null,
    cpu_shares: 1024,
    ...one.limits,
    cpu_max_cores: one.limits.cpu_max_cores ?? "max",
  };
  const told = Object.entries(fields).map(([field, value]) => [
    field,
    {
      value,
      owner: one.owners[field] ?? null,
      baseline: one.owners[field]?.startsWith("policy") ? "max" : null,
      expires_at: one.owners[field]?.startsWith("policy") ? new Date(Date.now() + 400e3).toISOString() : null,
    },
  ]);
  return { fields: Object.fromEntries(told), revision: "7" };
}

const FILES = {
  memory_max_bytes: "memory.limit_in_bytes",
  cpu_max_cores: "cpu.cfs_quota_us",
  pids_max: "pids.max",
  cpu_shares: "cpu.shares",
};

function patch(one, body, query) {
  if (body.memory_max_bytes < 4096)
    return problem(
      409,
      "below-usage",
      "Limit is below usage",
      `memory_max_bytes ${body.memory_max_bytes} is below what ${one.name} uses now`,
      "use force",
    );
  const writes = Object.entries(body).map(([field, value]) => ({
    controller: field.split("_")[0],
    file: FILES[field] ?? field,
    before: String(one.limits[field]),
    value: String(value),
    read_back: query.get("dry_run") ? null : String(value),
  }));
  if (!query.get("dry_run")) {
    const before = Object.fromEntries(Object.keys(body).map((field) => [field, one.limits[field]]));
    for (const [field, value] of Object.entries(body))
      Object.assign(one.limits, { [field]: value === "max" ? null : value });
    for (const field of Object.keys(body)) one.owners[field] = "operator";
    world.event(
      clock(),
      "limit.change",
      one.name,
      "operator",
      "operator",
      "asked for over the API",
      before,
      body,
      "d-000001",
    );
  }
  return {
    name: one.name,
    changed: true,
    status: query.get("dry_run") ? "planned" : "applied",
    decision: null,
    writes,
    limits: {},
  };
}

const problem = (status, kind, title, detail, hint = "") => ({
  __status: status,
  type: `/problems/${kind}`,
  title,
  status,
  detail,
  hint,
});

function log(one) {
  const line = (i, data, stream = "stdout") =>
    JSON.stringify({
      time: new Date(Date.now() - (60 - i) * 900).toISOString(),
      stream,
      partial: false,
      data,
    });
  return Array.from({ length: 60 }, (_, i) =>
    line(
      i,
      i % 13 === 5
        ? `\x1b[33mWARN\x1b[0m slow request: 812 ms`
        : `127.0.0.1 - "GET /items/${1000 + i * 7} HTTP/1.1" 200 ${340 + i}\n`,
      i % 13 === 5 ? "stderr" : "stdout",
    ),
  ).join("\n");
}

function api(method, path, query, body) {
  if (path === "/login")
    return (signedIn = body.code === "good")
      ? null
      : problem(401, "forbidden", "Wrong code", "the code is unknown, used or too old");
  if (!signedIn) return problem(401, "forbidden", "Log in", "no token and no cookie");
  if (path === "/containers") return { containers: rows() };
  if (path === "/host") return { ...hostOf(world.containers.values(), clock()), hostname: "edge-07" };
  if (path === "/host/history")
    return { ...columns(world.hostHistory, ["cpu_used_cores", "memory_available_bytes"], 60), events: [] };
  if (path === "/events") return { events: world.events.slice(-200), last_id: world.events.length };
  if (path === "/decisions")
    return {
      decisions: world.decisions.filter(
        (one) => !query.get("container") || one.container === query.get("container"),
      ),
    };
  if (path === "/policies")
    return {
      policies: ["memory-headroom", "batch-cpu-suppress", "freeze-before-oom"].map((name, i) => ({
        name,
        mode: i === 2 ? "observe" : "enforce",
      })),
    };
  const [, , name, verb] = path.split("/");
  const one = world.containers.get(decodeURIComponent(name ?? ""));
  if (!one)
    return problem(404, "unknown-container", "No such container", `there is no container named ${name}`);
  if (!verb) return inspect(one);
  if (verb === "history")
    return {
      ...columns(one.history, query.get("metrics").split(","), Number(query.get("since_sec"))),
      events: world.events.filter((event) => event.container?.name === one.name),
    };
  if (verb === "limits") return method === "PATCH" ? patch(one, body, query) : limitsOf(one);
  if (verb === "freeze") return world.freeze(one.name, clock(), "operator", body.reason);
  if (verb === "thaw") return world.thaw(one.name, clock());
  return problem(404, "not-found", "Nothing here", path);
}

createServer(async (request, response) => {
  const url = new URL(request.url, "http://localhost");
  const path = url.pathname;
  response.setHeader("Content-Security-Policy", POLICY);
  if (path === "/api/v1/stream") {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write("retry: 2000\n\n");
    clients.add(response);
    request.on("close", () => clients.delete(response));
    return;
  }
  if (path.startsWith("/api/v1/")) {
    let text = "";
    for await (const piece of request) text += piece;
    if (path.endsWith("/logs")) return response.end(log());
    const answer = api(request.method, path.slice(7), url.searchParams, text ? JSON.parse(text) : {});
    response.writeHead(answer?.__status ?? (answer === null ? 204 : 200), {
      "Content-Type": "application/json",
      ETag: '"7"',
    });
    return response.end(answer === null ? "" : JSON.stringify(answer));
  }
  const file = join(DIST, normalize(path === "/" ? "/index.html" : path));
  if (!file.startsWith(DIST) || !existsSync(file)) return response.writeHead(404).end();
  response.writeHead(200, { "Content-Type": KINDS[extname(file)] ?? "application/octet-stream" });
  response.end(readFileSync(file));
}).listen(PORT, "127.0.0.1", () => console.log(`http://127.0.0.1:${PORT}/`));
