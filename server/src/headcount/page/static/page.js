// Keeps an open page up to date, draws its charts and switches its theme. Everything else works
// without it: the server makes the page, and this script only fetches that same page again.

const CHECK_EVERY_MS = 1_000;
const RELOAD_AT_LEAST_EVERY_MS = 30_000;
const WAIT_MOST_MS = 15_000;
const FIND_AFTER_MS = 250;

const byId = (id) => document.getElementById(id);

// Theme: the system's unless the person chose, which a cookie tells the server for the next page.

const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);

function setUpTheme() {
  const button = byId("theme");
  if (!button) return;
  const rest = document.createElement("span");
  rest.className = "wide"; // a phone has no room for the second word
  rest.textContent = " theme";
  const name = () => { button.replaceChildren(isDark() ? "Light" : "Dark", rest); };
  button.hidden = false;
  name();
  button.addEventListener("click", () => {
    const chosen = isDark() ? "light" : "dark";
    const followsSystem = (chosen === "dark") === dark.matches;
    if (followsSystem) delete root.dataset.theme;
    else root.dataset.theme = chosen;
    const age = followsSystem ? 0 : 31_536_000;
    document.cookie = `headcount_theme=${chosen}; Path=/; SameSite=Strict; Max-Age=${age}`;
    name();
    drawAll(true);
  });
  dark.addEventListener("change", () => { name(); drawAll(true); });
}

// Small helps: selects that submit themselves, and copying.

function setUpControls() {
  for (const select of document.querySelectorAll("select[data-submit]")) {
    select.addEventListener("change", () => select.form.requestSubmit());
  }
  for (const button of document.querySelectorAll("[data-no-script]")) button.hidden = true;
  if (!navigator.clipboard) return;
  for (const block of document.querySelectorAll("pre[data-copy]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(block.querySelector("code").textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1_500);
    });
    block.append(button);
  }
}

// Charts: descriptions come with the page, the library that draws them when there is any.

const drawn = new Map();
let library;

function loadLibrary(address) {
  library ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = () => resolve(window.vegaEmbed);
    script.onerror = reject;
    document.head.append(script);
  });
  return library;
}

function lookFor(look, width) {
  const columns = width < 420 ? 1 : width < 640 ? 2 : 3;
  return { ...look, legend: { ...look.legend, columns } };
}

function heightFor(spec, width) {
  const names = spec.encoding?.color?.legend ? 0 : spec.encoding?.color?.scale?.domain?.length ?? 0;
  return spec.height + (width < 420 ? 18 * Math.max(0, names - 2) : 0); // one name a line there
}

async function draw(embed, place, given, look) {
  const spec = { ...given, height: heightFor(given, place.clientWidth) };
  const { data, ...rest } = spec;
  const shape = JSON.stringify(rest);
  const former = drawn.get(place);
  if (former?.shape === shape && former.look === look) {
    if (former.rows === JSON.stringify(data.values)) return;
    former.rows = JSON.stringify(data.values);
    await former.view.data("rows", data.values).runAsync();
    return;
  }
  const holder = document.createElement("div");
  holder.className = "chart";
  place.replaceChildren(holder);
  const made = await embed(holder, spec, {
    actions: false,
    ast: true, // no code is made from texts, so the page needs no unsafe-eval
    config: lookFor(look, place.clientWidth),
    defaultStyle: false,
    mode: "vega-lite",
    renderer: "canvas",
    tooltip: showTip,
  });
  former?.view.finalize();
  if (!former) offerToSave(embed, place);
  drawn.set(place, { view: made.view, shape, look, rows: JSON.stringify(data.values) });
}

// A chart as a file: drawn once more at a size for files, with a title that says whose it is.

function offerToSave(embed, place) {
  const line = document.createElement("p");
  line.className = "take";
  for (const format of ["svg", "png"]) {
    const button = document.createElement("button");
    const of = document.createElement("span");
    of.className = "unseen";
    of.textContent = ` of ${place.dataset.title}`;
    button.type = "button";
    button.className = "plain small";
    button.append(format.toUpperCase(), of);
    button.addEventListener("click", () => save(embed, place, format));
    line.append(button);
  }
  place.after(line);
}

async function save(embed, place, format) {
  const { charts } = JSON.parse(byId("charts").textContent);
  const { chart, title } = place.dataset;
  const spec = { ...charts[chart], title, width: 720, height: 360 };
  const made = await embed(document.createElement("div"), spec, {
    actions: false,
    ast: true,
    config: looks[isDark() ? "dark" : "light"],
    defaultStyle: false, // nor any style that stands in the page itself
    mode: "vega-lite",
    tooltip: showTip,
  });
  const link = document.createElement("a");
  if (format === "svg") {
    const type = "image/svg+xml";
    link.href = URL.createObjectURL(new Blob([await made.view.toSVG()], { type }));
  } else {
    const canvas = await made.view.toCanvas(2);
    link.href = URL.createObjectURL(await new Promise((done) => canvas.toBlob(done)));
  }
  const { period, against } = byId("state").dataset;
  const months = period.slice(0, 7) + (against ? `-beside-${against.slice(0, 7)}` : "");
  link.download = `headcount-${months}-${chart}.${format}`;
  link.click();
  made.view.finalize();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

let looks;

async function drawAll(again = false) {
  const held = byId("charts");
  if (!held) return;
  const { charts, looks: given } = JSON.parse(held.textContent);
  if (!looks || again) looks = given;
  const places = document.querySelectorAll("[data-chart]");
  try {
    const embed = await loadLibrary(held.dataset.library);
    const look = looks[isDark() ? "dark" : "light"];
    for (const place of places) await draw(embed, place, charts[place.dataset.chart], look);
    root.dataset.charts = "drawn";
  } catch (error) {
    console.warn("charts could not be drawn:", error);
    for (const place of places) {
      const text = document.createElement("p");
      text.className = "quiet";
      text.textContent = "The chart could not be drawn; its figures stand in the tables.";
      place.replaceChildren(text);
    }
  }
}

function showTip(_handler, event, _item, value) {
  let tip = byId("tip");
  if (value === null || value === undefined || value === "") {
    tip?.remove();
    return;
  }
  if (!tip) {
    tip = document.createElement("dl");
    tip.id = "tip";
    document.body.append(tip);
  }
  // Texts only, never markup: names of sources are whatever somebody typed.
  tip.replaceChildren(...Object.entries(value).map(([name, text]) => {
    const row = document.createElement("div");
    const term = document.createElement("dt");
    const detail = document.createElement("dd");
    term.textContent = name;
    detail.textContent = text;
    row.append(term, detail);
    return row;
  }));
  const { width, height } = tip.getBoundingClientRect();
  const left = event.clientX + 14 + width > innerWidth ? event.clientX - 14 - width : event.clientX + 14;
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${Math.max(4, Math.min(event.clientY + 14, innerHeight - height - 4))}px`;
}

// Keeping up to date.

function swapIn(made) {
  const months = (place) => {
    const { period, against } = place.getElementById("state")?.dataset ?? {};
    return `${period} ${against}`;
  };
  if (months(made) !== months(document)) return false;
  const focused = document.activeElement?.id;
  for (const part of document.querySelectorAll("[data-live]")) {
    const fresh = made.getElementById(part.id);
    if (!fresh) return false;
    if (part.innerHTML !== fresh.innerHTML) part.replaceChildren(...fresh.childNodes);
  }
  const live = (place) => place.querySelectorAll("[data-live]").length;
  const charts = (place) => Boolean(place.getElementById("charts"));
  if (live(made) !== live(document) || charts(made) !== charts(document)) return false;
  if (charts(document)) byId("charts").textContent = made.getElementById("charts").textContent;
  byId("state").dataset.version = made.getElementById("state").dataset.version;
  if (focused) byId(focused)?.focus({ preventScroll: true });
  return true;
}

async function fetchPage(address) {
  const answer = await fetch(address, { headers: { Accept: "text/html" } });
  if (new URL(answer.url).pathname === "/page/sign-in") throw new SessionOver();
  if (!answer.ok) throw new Refused(answer);
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

async function refresh(address = location.href) {
  const made = await fetchPage(address);
  // Another kind of page, such as the first messages after none or a new month: take all of it.
  if (swapIn(made)) await drawAll();
  // To go to the address that one is at loads nothing where it ends in a fragment.
  else if (address === location.href) location.reload();
  else location.assign(address);
}

class SessionOver extends Error {}
class Refused extends Error {
  constructor(answer) {
    super(`status ${answer.status}`);
    this.status = answer.status;
    this.waitMs = 1_000 * Number(answer.headers.get("Retry-After") ?? 0);
  }
}

function warn(text, link) {
  const banner = byId("banner");
  banner.hidden = !text;
  banner.replaceChildren(text);
  if (link) {
    const anchor = document.createElement("a");
    anchor.href = link;
    anchor.textContent = "Sign in again";
    banner.append(" ", anchor);
  }
  byId("main").classList.toggle("stale", Boolean(text));
  byId("fresh").classList.toggle("live", !text);
}

async function check() {
  const here = new URL(location.href).searchParams;
  // Without a month in the address, the month that runs is meant, whichever the page shows yet.
  const query = new URLSearchParams();
  for (const name of ["workspace", "period"]) if (here.has(name)) query.set(name, here.get(name));
  const { fresh: own } = byId("state").dataset; // where a link without a token asks
  const answer = await fetch(own || `/page/fresh?${query}`);
  if (own && answer.status === 404) location.reload(); // the link has ended, as the page then says
  if (answer.status === 401) throw new SessionOver();
  if (!answer.ok) throw new Refused(answer);
  const fresh = await answer.json();
  byId("fresh-time").textContent = fresh.text;
  byId("fresh-time").dateTime = fresh.until;
  byId("fresh-lag").textContent = fresh.lag;
  return fresh;
}

async function keepUpToDate() {
  const state = byId("state");
  if (!state) return;
  let reloadedAt = performance.now();
  let failures = 0;
  for (;;) {
    let waitMs = CHECK_EVERY_MS;
    if (!document.hidden) {
      try {
        const fresh = await check();
        const ageMs = performance.now() - reloadedAt;
        const { version, period } = state.dataset;
        const old = fresh.version !== version || fresh.period !== period;
        if (old || ageMs > RELOAD_AT_LEAST_EVERY_MS) {
          const began = performance.now();
          await refresh();
          reloadedAt = performance.now();
          // A page that takes long to make is not asked for all the time.
          waitMs = Math.max(waitMs, 5 * (reloadedAt - began));
        }
        failures = 0;
        warn("");
      } catch (error) {
        if (error instanceof SessionOver) {
          const next = encodeURIComponent(location.pathname + location.search);
          warn("Your session is over; the figures are from before.", `/page/sign-in?ended=1&next=${next}`);
          return;
        }
        failures += 1;
        waitMs = Math.min(WAIT_MOST_MS, CHECK_EVERY_MS * 2 ** failures);
        if (error instanceof Refused) {
          waitMs = Math.max(waitMs, error.waitMs);
          warn(`The server cannot read usage now (${error.message}). Trying again by itself.`);
        } else {
          warn("The server cannot be reached. The figures are from before; trying again by itself.");
        }
      }
    }
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}

function setUpSorting() {
  document.addEventListener("click", async (event) => {
    const link = event.target.closest?.("a[data-swap]");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    try {
      await refresh(link.href);
      history.replaceState(null, "", link.href);
    } catch {
      location.assign(link.href);
    }
  });
}

function setUpFinding() {
  const field = document.querySelector("input[data-find]");
  if (!field) return;
  let asked = 0;
  const find = async () => {
    const address = new URL(location.href);
    if (field.value.trim()) address.searchParams.set("find", field.value.trim());
    else address.searchParams.delete("find");
    const mine = ++asked;
    await new Promise((resolve) => setTimeout(resolve, FIND_AFTER_MS));
    if (mine !== asked) return;
    history.replaceState(null, "", address);
    // Should it fail, the next look at the page takes what the address then says.
    await refresh(address.href).catch(() => {});
  };
  field.addEventListener("input", find);
  field.form.addEventListener("submit", (event) => { event.preventDefault(); find(); });
}

setUpTheme();
setUpControls();
setUpSorting();
setUpFinding();
drawAll();
keepUpToDate();
