// The page at `/`: lists what answers, asks one model. What signs in is kept where no script can read it.
const at = (id) => document.getElementById(id);
const took = [];

function element(name, text, kind) {
  const made = document.createElement(name);
  made.textContent = text ?? "";
  if (kind) made.className = kind;
  return made;
}

function row(...cells) {
  const made = document.createElement("tr");
  made.append(...cells);
  return made;
}

function age(since) {
  const minutes = Math.max(0, Date.now() - new Date(since)) / 60000;
  const [count, unit] = minutes < 60 ? [minutes, "min"] : minutes < 2880 ? [minutes / 60, "h"] : [minutes / 1440, "days"];
  return `${Math.floor(count)} ${unit}`;
}

async function call(path, body) {
  const reply = await fetch(path, {
    method: body ? "POST" : "GET",
    headers: { "Pedigree-Page": "1", "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
  });
  const said = await reply.json();
  if (!reply.ok) throw Object.assign(new Error(said.detail), { status: reply.status });
  return said;
}

async function begin(event) {
  event.preventDefault();
  const token = at("token").value.trim();
  at("token").value = "";
  const reply = await fetch("session", { method: "POST", headers: { Authorization: `Bearer ${token}` } });
  at("session").textContent = reply.ok ? "signed in" : (await reply.json()).detail;
  await list();
}

async function end() {
  await fetch("session", { method: "DELETE" });
  at("session").textContent = "signed out";
  at("answer").replaceChildren();
  await list();
}

async function list() {
  const table = at("models");
  try {
    const said = await call("v1/models");
    at("region").textContent = said.region;
    table.replaceChildren(row(...["model", "release", "digest", "age"].map((name) => element("th", name))));
    for (const { model, release, digest, since } of said.models) {
      const short = element("td");
      short.append(element("code", `${digest.slice(0, 16)}…`));
      short.title = digest;
      const old = element("td", age(since));
      old.title = since;
      table.append(row(element("td", model), element("td", release), short, old));
    }
    const chosen = at("model").value;
    at("model").replaceChildren(...said.models.map(({ model }) => element("option", model)));
    if (chosen) at("model").value = chosen;
    if (!said.models.length) table.replaceChildren(row(element("td", "no release of yours answers here; promote one")));
  } catch (fault) {
    at("model").replaceChildren();
    table.replaceChildren(fault.status === 401 ? "" : row(element("td", fault.message, "bad")));
  }
}

async function ask(event) {
  event.preventDefault();
  const began = performance.now();
  const answer = at("answer");
  try {
    const said = await call(`v1/models/${at("model").value}/infer`, { input: at("text").value });
    const table = document.createElement("table");
    for (const [label, score] of Object.entries(said.results[0].scores).sort((a, b) => b[1] - a[1]).slice(0, 5)) {
      const bar = document.createElement("meter");
      bar.value = score;
      const cell = element("td");
      cell.append(bar);
      table.append(row(element("td", label), cell, element("td", score.toFixed(4))));
    }
    const source = element("p", `${said.release} in ${at("region").textContent}, release digest `);
    source.append(element("code", said.digest));
    answer.replaceChildren(table, source);
    took.push(performance.now() - began);
    at("took").textContent = `${took.at(-1).toFixed(0)} ms`;
    const shown = took.slice(-50), most = Math.max(...shown);
    const points = shown.map((each, i) => `${(i / Math.max(1, shown.length - 1)) * 100},${20 - (each / most) * 18}`);
    at("latency").firstElementChild.setAttribute("points", points.join(" "));
  } catch (fault) {
    answer.replaceChildren(element("p", fault.message, "bad"));
  }
}

at("begin").addEventListener("submit", begin);
at("end").addEventListener("click", end);
at("ask").addEventListener("submit", ask);
list();
setInterval(list, 5000);
