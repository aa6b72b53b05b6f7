"use strict";
// The sandbox's console: it asks the sandbox's own APIs every two seconds, and writes text
// only, so that nothing that a service logs or is called can become markup.

const base = "/_apron/console";
const token = new URLSearchParams(location.search).get("token") || "";

const $ = (id) => document.getElementById(id);
const groups = { application: true, service: true };
let chosen = ""; // ARN
let previous = { at: 0, cpu: {} };

async function get(path, body) {
  const response = await fetch(base + path, {
    method: body === undefined ? "GET" : "POST",
    headers: { "X-Apron-Token": token },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const value = await response.json();
  if (!response.ok) throw Object.assign(new Error(value.message || value.code), value);
  return value;
}
const call = (service, operation, input) => get(`/call/${service}/${operation}`, input);

function element(name, text, className) {
  const e = document.createElement(name);
  if (text !== undefined) e.textContent = text;
  if (className) e.className = className;
  return e;
}

function mood(status) {
  const s = String(status).toUpperCase();
  if (/FAILED|ROLLBACK_SUCCEEDED|DELETED/.test(s)) return "bad";
  if (/PROGRESS|PENDING/.test(s)) return "busy";
  return "ok";
}

const date = (seconds) => new Date(seconds * 1000);
const clock = (d) => d.toLocaleTimeString([], { hour12: false });
const lasted = (seconds) => (seconds < 90 ? `${seconds.toFixed(1)} s` : `${(seconds / 60).toFixed(1)} min`);

function rows(body, all) {
  $(body).replaceChildren(...all.map((cells) => {
    const tr = element("tr");
    for (const cell of cells) tr.append(Array.isArray(cell) ? element("td", ...cell) : element("td", cell));
    return tr;
  }));
}

function list(services) {
  $("none").hidden = services.length > 0;
  if (!services.some((s) => s.ServiceArn === chosen)) chosen = services.length > 0 ? services[0].ServiceArn : "";
  $("services").replaceChildren(...services.map((s) => {
    const button = element("button", s.ServiceName + " ");
    button.type = "button";
    button.setAttribute("aria-current", String(s.ServiceArn === chosen));
    button.append(element("span", s.Status, mood(s.Status)));
    button.addEventListener("click", () => { chosen = s.ServiceArn; refresh(); });
    const item = element("li");
    item.append(button);
    return item;
  }));
}

function settings(s) {
  $("name").textContent = s.ServiceName;
  const image = s.SourceConfiguration.ImageRepository || {};
  const c = image.ImageConfiguration || {};
  const h = s.HealthCheckConfiguration || {};
  const network = (s.NetworkConfiguration || {}).IngressConfiguration || {};
  const facts = [
    ["Status", s.Status], ["URL", s.ServiceUrl ? "http://" + s.ServiceUrl : "private"], ["Image", image.ImageIdentifier],
    ["Port", c.Port], ["Size", `${s.InstanceConfiguration.Cpu} CPU units, ${s.InstanceConfiguration.Memory} MB`],
    ["Scaling", (s.AutoScalingConfigurationSummary || {}).AutoScalingConfigurationName],
    ["Health check", `${h.Protocol} ${h.Path || ""} every ${h.Interval} s, timeout ${h.Timeout} s`],
    ["Variables", Object.keys(c.RuntimeEnvironmentVariables || {}).join(", ")],
    ["Secrets", Object.keys(c.RuntimeEnvironmentSecrets || {}).join(", ")],
    ["Ingress", network.IsPubliclyAccessible === false ? "private" : "public"],
  ];
  $("settings").replaceChildren(...facts.filter((f) => f[1]).flatMap(([name, value]) => {
    const dd = element("dd");
    if (name === "URL" && value !== "private") {
      const link = element("a", value);
      link.href = value;
      link.rel = "noreferrer";
      link.target = "_blank";
      dd.append(link);
    } else dd.textContent = value;
    if (name === "Status") dd.className = mood(value);
    return [element("dt", name), dd];
  }));
}

function instances(all) {
  const now = performance.now() / 1000;
  const cpu = {};
  rows("instances", all.filter((i) => i.service === chosen).map((i) => {
    cpu[i.id] = i.cpu_seconds;
    const before = previous.cpu[i.id];
    const used = before === undefined || now <= previous.at ? "…" : `${(100 * (i.cpu_seconds - before) / (now - previous.at)).toFixed(1)} %`;
    return [i.id.slice(0, 12), clock(new Date(i.since)), String(i.in_flight), used, `${(i.memory_bytes / 1048576).toFixed(1)} MiB`];
  }));
  previous = { at: now, cpu };
}

function chart(title, points, unit) {
  const figure = element("figure");
  const last = points.length > 0 ? points[points.length - 1] : undefined;
  figure.append(element("figcaption", last === undefined ? `${title}: no data yet` : `${title}: ${Number(last.toPrecision(4))} ${unit}`));
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 100 40");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", title);
  const top = Math.max(...points, 1e-9);
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  const at = (i) => (points.length < 2 ? 100 : (100 * i) / (points.length - 1));
  const shape = points.length === 1 ? [points[0], points[0]] : points;
  line.setAttribute("points", shape.map((p, i) => `${shape === points ? at(i) : 100 * i},${39 - (37 * p) / top}`).join(" "));
  svg.append(line);
  figure.append(svg);
  return figure;
}

// https://docs.aws.amazon.com/apprunner/latest/dg/monitor-cw.html
const metrics = [
  ["Requests", "Sum", "per minute"], ["RequestLatency", "Average", "ms"], ["2xxStatusResponses", "Sum", "per minute"],
  ["4xxStatusResponses", "Sum", "per minute"], ["5xxStatusResponses", "Sum", "per minute"], ["ActiveInstances", "Maximum", ""],
  ["CPUUtilization", "Average", "%"], ["MemoryUtilization", "Average", "%"], ["Concurrency", "Maximum", "requests"],
];

async function charts(s, now) {
  const Dimensions = [{ Name: "ServiceName", Value: s.ServiceName }, { Name: "ServiceID", Value: s.ServiceId }];
  const out = await call("monitoring", "GetMetricData", {
    StartTime: now - 3600, EndTime: now + 60, ScanBy: "TimestampAscending",
    MetricDataQueries: metrics.map(([MetricName, Stat], i) => ({
      Id: `m${i}`, MetricStat: { Metric: { Namespace: "AWS/AppRunner", MetricName, Dimensions }, Period: 60, Stat },
    })),
  });
  const values = Object.fromEntries(out.MetricDataResults.map((r) => [r.Id, r.Values || []]));
  $("charts").replaceChildren(...metrics.map(([name, , unit], i) => chart(name, values[`m${i}`] || [], unit)));
}

async function logs(s, now) {
  const found = await Promise.all(Object.keys(groups).filter((g) => groups[g]).map(async (group) => {
    try {
      const out = await call("logs", "FilterLogEvents", {
        logGroupName: `/aws/apprunner/${s.ServiceName}/${s.ServiceId}/${group}`, startTime: Math.round((now - 1800) * 1000), limit: 500,
      });
      return (out.events || []).map((e) => ({ ...e, group }));
    } catch (error) {
      if (error.code === "ResourceNotFoundException") return []; // nothing was written yet
      throw error;
    }
  }));
  const list = $("logs");
  const below = list.scrollHeight - list.scrollTop - list.clientHeight < 30;
  list.replaceChildren(...found.flat().sort((a, b) => a.timestamp - b.timestamp).slice(-500).map((e) => {
    const item = element("li", undefined, e.group);
    item.append(element("time", clock(new Date(e.timestamp))), element("b", e.group), e.message);
    return item;
  }));
  if (below) list.scrollTop = list.scrollHeight;
}

async function refresh() {
  const overview = await get("/overview");
  const facts = overview.facts;
  $("facts").textContent = `${facts.account} · ${facts.region} · ${facts.engine}: ${facts.isolation} · speed ${facts.speed}`;
  rows("calls", overview.calls.map((c) => [
    clock(new Date(c.at)), c.service, c.operation, [c.code ? `${c.status} ${c.code}` : String(c.status), c.status < 400 ? "ok" : "bad"], `${c.took_ms.toFixed(1)} ms`,
  ]));
  const services = (await call("apprunner", "ListServices", {})).ServiceSummaryList || [];
  list(services.filter((s) => s.Status !== "DELETED"));
  $("detail").hidden = chosen === "";
  if (chosen === "") return;
  const s = (await call("apprunner", "DescribeService", { ServiceArn: chosen })).Service;
  settings(s);
  instances(overview.instances);
  const operations = (await call("apprunner", "ListOperations", { ServiceArn: chosen, MaxResults: 20 })).OperationSummaryList || [];
  rows("operations", operations.map((o) => [
    clock(date(o.StartedAt)), o.Type, [o.Status, mood(o.Status)], o.EndedAt ? lasted(o.EndedAt - o.StartedAt) : "under way",
  ]));
  const now = facts.now;
  await Promise.all([charts(s, now), logs(s, now)]);
}

async function loop() {
  try {
    await refresh();
    $("problem").hidden = true;
  } catch (error) {
    $("problem").textContent = `The sandbox does not answer: ${error.message}`;
    $("problem").hidden = false;
  }
  setTimeout(loop, 2000);
}

for (const button of document.querySelectorAll("[data-group]")) {
  button.addEventListener("click", () => {
    const group = button.dataset.group;
    groups[group] = !groups[group];
    button.setAttribute("aria-pressed", String(groups[group]));
    refresh();
  });
}
loop();
