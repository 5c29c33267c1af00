// The gateway's pages, made from its own JSON API. Everything that was pushed is put in as text,
// never as markup.

const view = document.getElementById("view");
const admin = document.body.dataset.admin === "true";

function element(name, properties = {}, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
}

async function api(path) {
  const answer = await fetch("api/v1/" + path);
  if (!answer.ok) throw new Error(`${path}: HTTP ${answer.status}`);
  return (await answer.json()).data;
}

// Which groups and families stand open, over reloads of the page.
const opened = new Set(JSON.parse(sessionStorage.getItem("opened") ?? "[]"));
function foldable(key, summary, fill) {
  const details = element("details", {}, element("summary", {}, ...summary));
  const show = () => {
    if (details.childElementCount === 1) details.append(...fill());
  };
  details.addEventListener("toggle", () => {
    if (details.open) show();
    details.open ? opened.add(key) : opened.delete(key);
    sessionStorage.setItem("opened", JSON.stringify([...opened]));
  });
  if (opened.has(key)) {
    show();
    details.open = true;
  }
  return details;
}

function badges(labels, leaveOut = {}) {
  return Object.entries(labels)
    .filter(([name, value]) => leaveOut[name] !== value)
    .map(([name, value]) => element("span", { className: "label" }, `${name}="${value}"`));
}

function confirmed(question) {
  const dialog = document.getElementById("confirm");
  document.getElementById("question").textContent = question;
  dialog.showModal();
  return new Promise((resolve) => {
    const close = (answer) => () => {
      dialog.close();
      resolve(answer);
    };
    document.getElementById("yes").onclick = close(true);
    document.getElementById("no").onclick = close(false);
    dialog.oncancel = () => resolve(false);
  });
}

// Base64 in its alphabet for URLs, so that any text fits into a path; "=" stands for the empty text.
function encoded(text) {
  const bytes = new TextEncoder().encode(text);
  const base64 = btoa(String.fromCharCode(...bytes));
  return base64.replaceAll("+", "-").replaceAll("/", "_") || "=";
}

// Names beyond [a-zA-Z0-9_] travel as U__, with every other character as its number.
function escapedName(name) {
  if (/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name)) return name;
  const parts = [...name].map((c) =>
    c === "_" ? "__" : /[a-zA-Z0-9]/.test(c) ? c : `_${c.codePointAt(0).toString(16)}_`);
  return "U__" + parts.join("");
}

function groupPath(labels) {
  const rest = Object.entries(labels)
    .filter(([name]) => name !== "job")
    .map(([name, value]) => `/${escapedName(name)}@base64/${encoded(value)}`);
  return `metrics/job@base64/${encoded(labels.job)}${rest.join("")}`;
}

async function remove(question, path, method) {
  if (!(await confirmed(question))) return;
  const answer = await fetch(path, { method });
  if (!answer.ok) {
    view.prepend(element("p", { className: "error" }, await answer.text()));
    return;
  }
  await render();
}

function valueText(metric) {
  if (metric.quantiles) {
    const quantiles = Object.entries(metric.quantiles).map(([q, v]) => `quantile ${q}: ${v}`);
    return [...quantiles, `count: ${metric.count}`, `sum: ${metric.sum}`].join("\n");
  }
  if (Array.isArray(metric.buckets)) {
    const open = ["(", "[", "(", "["];
    const close = ["]", ")", ")", "]"];
    const buckets = metric.buckets.map(([rule, lower, upper, count]) =>
      `${open[rule]}${lower}, ${upper}${close[rule]}: ${count}`);
    return [...buckets, `count: ${metric.count}`, `sum: ${metric.sum}`].join("\n");
  }
  if (metric.buckets) {
    const buckets = Object.entries(metric.buckets)
      .sort(([a], [b]) => Number(a.replace("+Inf", "Infinity")) - Number(b.replace("+Inf", "Infinity")))
      .map(([bound, count]) => `le ${bound}: ${count}`);
    return [...buckets, `count: ${metric.count}`, `sum: ${metric.sum}`].join("\n");
  }
  return metric.value;
}

function family(key, name, content, groupLabels) {
  const head = [
    element("strong", {}, name), " ",
    element("span", { className: "label" }, content.type),
    element("span", { className: "help" },
            ` ${content.help ?? ""} (last pushed ${new Date(content.time_stamp).toLocaleString()})`),
  ];
  return foldable(`${key}\u0000${name}`, head, () => {
    const rows = content.metrics.map((metric) =>
      element("tr", {}, element("td", {}, ...badges(metric.labels, groupLabels)),
              element("td", { className: "value" }, valueText(metric))));
    return [element("table", {}, element("tr", {}, element("th", {}, "Labels"),
                                         element("th", {}, "Value")), ...rows)];
  });
}

function group(content) {
  const { labels, last_push_successful: successful, ...families } = content;
  const key = JSON.stringify(labels);
  const head = badges(labels);
  if (!successful) head.push(element("span", { className: "label failed" }, "Last push failed"));
  return foldable(key, head, () => {
    const button = element("button", { className: "danger" }, "Delete Group");
    button.onclick = () => remove(`Delete the group ${key}?`, groupPath(labels), "DELETE");
    return [element("div", { className: "tools" }, button),
            ...Object.entries(families).map(([name, f]) => family(key, name, f, labels))];
  });
}

async function metricsView() {
  const groups = await api("metrics");
  if (groups.length === 0) return [element("p", {}, "Nothing has been pushed.")];
  const nodes = groups.map(group);
  if (admin) {
    const button = element("button", { className: "danger" }, `Delete All ${groups.length} Groups`);
    button.onclick = () => remove(`Delete all ${groups.length} groups?`, "api/v1/admin/wipe", "PUT");
    nodes.unshift(button);
  }
  return nodes;
}

function pairs(title, entries) {
  return [element("h2", {}, title),
          element("table", {}, ...Object.entries(entries).map(([name, value]) =>
            element("tr", {}, element("th", {}, name),
                    element("td", { className: "value" }, String(value)))))];
}

async function statusView() {
  const status = await api("status");
  return [element("p", {}, `Started ${new Date(status.start_time).toLocaleString()}`),
          ...pairs("Build information", status.build_information),
          ...pairs("Command-line flags", status.flags)];
}

async function render() {
  const status = location.hash === "#status" ||
    (location.hash === "" && location.pathname.endsWith("/status"));
  for (const [id, current] of [["tab-metrics", !status], ["tab-status", status]]) {
    document.getElementById(id).toggleAttribute("aria-current", current);
  }
  try {
    view.replaceChildren(...(await (status ? statusView() : metricsView())));
  } catch (error) {
    view.replaceChildren(element("p", { className: "error" }, error.message));
  }
}

addEventListener("hashchange", render);
render();
