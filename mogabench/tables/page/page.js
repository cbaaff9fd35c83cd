// Sorting, filtering, what is known of a cell, and the links between plots and rows.
"use strict";
const all = (query, root = document) => [...root.querySelectorAll(query)];
const byId = (id) => document.getElementById(id);
const known = JSON.parse(byId("details").textContent);
const [panel, facts, tip] = [byId("panel"), byId("facts"), byId("tip")];
const make = (name, text, attributes = {}) =>
  Object.assign(document.createElement(name), { textContent: text }, attributes);

/** What is known of a cell: headings with texts. */
function pairsOf(number) {
  const texts = known.lists[number].map((place) => known.texts[place]);
  return texts.flatMap((text, place) => (place % 2 ? [] : [[text, texts[place + 1]]]));
}

// A row is chosen together with its points.
let cameFrom = null;

function choose(row, number) {
  for (const element of all(".chosen")) element.classList.remove("chosen");
  row.classList.add("chosen");
  const points = pointsOf(row);
  for (const point of points) {
    point.classList.add("chosen");
    point.parentNode.append(point); // on top of the others
  }
  showFacts(number ?? row.querySelector("[data-d]")?.dataset.d, row, points);
  try {
    history.replaceState(null, "", `#${row.id}`);
  } catch {} // a page inside another one may not
}

const pointsOf = (row) => all(`.marks a[href="#${CSS.escape(row.id)}"]`);

function showFacts(number, row, points) {
  if (number === undefined) return;
  const [[, title], ...pairs] = pairsOf(number);
  const list = make("dl", "");
  for (const [heading, text] of pairs) {
    const isCommand = heading === "to measure";
    list.append(make("dt", heading), make("dd", text, { className: isCommand ? "command" : "" }));
  }
  const links = make("p", "", { className: "links" });
  links.append(make("a", "to the row", { href: `#${row.id}` }));
  for (const point of points) {
    const figure = point.closest("figure");
    const name = figure.querySelector("b").textContent;
    if (all("a", links).some((link) => link.dataset.figure === figure.id)) continue;
    const link = make("a", `in “${name}”`, { href: `#${figure.id}` });
    link.dataset.figure = figure.id;
    links.append(link);
  }
  facts.replaceChildren(make("h3", title), links, list);
  panel.hidden = false;
  panel.scrollTop = 0;
  tip.hidden = true;
}

function close() {
  panel.hidden = true;
  for (const element of all(".chosen")) element.classList.remove("chosen");
  cameFrom?.focus({ preventScroll: true });
}

byId("close").addEventListener("click", close);
facts.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link) return;
  event.preventDefault();
  if (!link.dataset.figure) clearFilter();
  byId(decodeURIComponent(link.hash.slice(1))).scrollIntoView({ block: link.dataset.figure ? "start" : "center" });
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !panel.hidden) close();
});

/** Goes to a row, also where a filter hides it. */
function goTo(row, number) {
  if (row.hidden || row.closest("section[hidden]")) clearFilter();
  choose(row, number);
  row.closest(".table")?.style.setProperty("content-visibility", "visible"); // else it has no place
  row.scrollIntoView({ block: "center" });
}

document.addEventListener("click", (event) => {
  const link = event.target.closest('main a[href^="#"]');
  const row = link && byId(link.getAttribute("href").slice(1)); // a link in SVG has no hash
  if (row?.tagName === "TR") {
    event.preventDefault();
    cameFrom = link;
    goTo(row, link.dataset.d);
  }
});

// Cells: the pointer shows them in short, a click or Enter in full; arrow keys go from one to another.
for (const table of all("table.cells")) {
  const cells = all("tbody [data-d]", table);
  for (const cell of cells) cell.tabIndex = -1;
  if (cells.length) cells[0].tabIndex = 0;
  table.addEventListener("click", (event) => {
    const cell = event.target.closest("tbody [data-d]");
    const row = event.target.closest("tbody tr");
    if (!row) return;
    if (cell) {
      focusOn(cell);
      cameFrom = cell;
    }
    choose(row, cell?.dataset.d);
  });
  table.addEventListener("keydown", (event) => {
    const cell = event.target.closest("tbody [data-d]");
    if (!cell) return;
    const next = neighbour(cell, event.key);
    if (event.key === "Enter" || event.key === " ") {
      cameFrom = cell;
      choose(cell.parentNode, cell.dataset.d);
    } else if (next) focusOn(next);
    else return;
    event.preventDefault();
  });
  table.addEventListener("pointermove", (event) => {
    const cell = event.target.closest("tbody [data-d]");
    if (event.pointerType !== "mouse" || !cell) tip.hidden = true;
    else showTip(inShort(cell.dataset.d), event);
  });
  table.addEventListener("pointerleave", () => (tip.hidden = true));
}

function focusOn(cell) {
  for (const other of all('[tabindex="0"][data-d]', cell.closest("table"))) other.tabIndex = -1;
  cell.tabIndex = 0;
  cell.focus();
}

function neighbour(cell, key) {
  const isAside = { ArrowLeft: "previousElementSibling", ArrowRight: "nextElementSibling" }[key];
  const isUpOrDown = { ArrowUp: "previousElementSibling", ArrowDown: "nextElementSibling" }[key];
  let at = cell;
  let row = cell.parentNode;
  while (isAside && (at = at[isAside])) if (at.dataset.d) return at;
  while (isUpOrDown && (row = row[isUpOrDown])) {
    const below = row.cells[cell.cellIndex];
    if (!row.hidden && below?.dataset.d) return below;
  }
  return null;
}

const IN_SHORT = [
  "printed", "measured", "reason", "derived", "tried", "note", "result", "to measure",
];

function inShort(number) {
  const lines = pairsOf(number).filter(([heading]) => IN_SHORT.includes(heading));
  return lines.map(([heading, text]) => `${heading}: ${text}`).join("\n");
}

function showTip(text, { clientX, clientY }) {
  tip.textContent = text;
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  const below = clientY + 18 + height < innerHeight;
  tip.style.left = `${Math.max(8, Math.min(clientX + 14, innerWidth - width - 8))}px`;
  tip.style.top = `${below ? clientY + 18 : clientY - height - 12}px`;
}

// Plots: the nearest point within reach answers, so that a finger can hit it.
const REACH = 22;

for (const figure of all("figure")) {
  const marks = figure.querySelector(".marks");
  for (const mark of marks.children) mark.setAttribute("tabindex", -1);
  marks.firstElementChild?.setAttribute("tabindex", 0);
  const svg = marks.closest("svg");
  svg.addEventListener("pointermove", (event) => {
    const mark = nearest(marks, event);
    svg.style.cursor = mark ? "pointer" : "";
    if (mark && event.pointerType === "mouse") showTip(mark.getAttribute("aria-label"), event);
    else tip.hidden = true;
  });
  svg.addEventListener("pointerleave", () => (tip.hidden = true));
  svg.addEventListener("click", (event) => {
    if (event.target.closest("a")) return; // a link like any other
    nearest(marks, event)?.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true }));
  });
  marks.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const order = [...marks.children].sort((a, b) => middle(a)[0] - middle(b)[0]);
    const here = event.target.closest("a");
    const next = order[order.indexOf(here) + step];
    if (!next) return;
    here.setAttribute("tabindex", -1);
    next.setAttribute("tabindex", 0);
    next.focus();
  });
  marks.addEventListener("focusin", ({ target }) => {
    const [clientX, clientY] = middle(target);
    if (target.matches(":focus-visible")) showTip(target.getAttribute("aria-label"), { clientX, clientY });
  });
  marks.addEventListener("focusout", () => (tip.hidden = true));
}

function middle(mark) {
  const { left, right, top, bottom } = mark.getBoundingClientRect();
  return [(left + right) / 2, (top + bottom) / 2];
}

function nearest(marks, { clientX, clientY, target }) {
  const hit = target.closest("a");
  if (hit) return hit;
  let [best, least] = [null, REACH];
  for (const mark of marks.children) {
    const [x, y] = middle(mark);
    const distance = Math.hypot(x - clientX, y - clientY);
    if (distance < least) [best, least] = [mark, distance];
  }
  return best;
}

// Sorting: by a head upwards, then downwards, then as in the paper; cells without anything are last.
function sortKey(cell) {
  const text = cell.textContent;
  const isDate = /^\d{4}-\d/.test(text); // whose year alone would count
  const plain = text.replace("−", "-").replace("+", "").replace(/,(?=\d{3})/g, "");
  const number = isDate ? NaN : parseFloat(cell.dataset.value ?? plain);
  if (!Number.isNaN(number)) return { rank: 0, number, name: "" };
  const [, name, value] = /^(.+?) (-?\d\S*)/.exec(plain) ?? [plain, plain]; // such as Top-1 97.10 %
  return { rank: ["", "-", "—"].includes(plain) ? 2 : 1, name, number: parseFloat(value) };
}
for (const head of all("th[data-place]")) {
  const button = make("button", "", { type: "button" });
  button.append(...head.childNodes);
  head.append(button);
  const body = head.closest("table").tBodies[0];
  const asPrinted = [...body.rows];
  button.addEventListener("click", () => {
    const order = { none: "ascending", ascending: "descending", descending: "none" }[
      head.getAttribute("aria-sort") ?? "none"
    ];
    for (const other of all("th[aria-sort]", head.closest("thead"))) other.removeAttribute("aria-sort");
    if (order !== "none") head.setAttribute("aria-sort", order);
    const sign = order === "descending" ? -1 : 1;
    const rows = order === "none" ? asPrinted : [...asPrinted].sort((a, b) => compare(a, b, sign));
    body.append(...rows);
  });
  const compare = (a, b, sign) => {
    const [one, other] = [a, b].map((row) => sortKey(row.cells[head.dataset.place]));
    if (one.rank !== other.rank) return one.rank - other.rank;
    return sign * (one.name.localeCompare(other.name) || one.number - other.number || 0);
  };
}

// The filter: rows that have a text, or a cell of a group.
const [form, find, found] = [document.querySelector(".filter"), byId("find"), byId("found")];
const chips = all(".chips button");
const texts = new Map(all(".table tbody tr").map((row) => [row, row.textContent.toLowerCase()]));

function filter() {
  const [text, group] = [find.value.trim().toLowerCase(), document.body.dataset.group];
  let [rows, tables] = [0, 0];
  for (const section of all("section.table")) {
    const title = section.querySelector("h3").textContent.toLowerCase();
    let shown = 0;
    for (const row of section.querySelectorAll("tbody tr")) {
      const fits = !text || texts.get(row).includes(text) || title.includes(text);
      row.hidden = !fits || Boolean(group && !row.querySelector(`.${group}`));
      shown += !row.hidden;
    }
    section.hidden = !shown;
    rows += shown;
    tables += Boolean(shown);
  }
  found.textContent = text || group ? `${rows} rows in ${tables} tables` : "";
}

function filterGroup(group) {
  if (group) document.body.dataset.group = group;
  else delete document.body.dataset.group;
  for (const chip of chips) chip.setAttribute("aria-pressed", chip.dataset.group === group);
  filter();
}

function clearFilter() {
  find.value = "";
  filterGroup(undefined);
}

form.hidden = false;
form.addEventListener("submit", (event) => event.preventDefault());
find.addEventListener("input", filter);
for (const chip of chips) {
  const { group } = chip.dataset;
  chip.addEventListener("click", () => filterGroup(document.body.dataset.group === group ? undefined : group));
}
for (const tile of all(".tile")) tile.addEventListener("click", () => filterGroup(tile.dataset.group));

// Light and dark: as the system has it, until a reader says otherwise.
const theme = byId("theme");
const THEMES = { auto: "light dark", light: "light", dark: "dark" };

function setTheme(name) {
  document.documentElement.style.colorScheme = THEMES[name];
  theme.textContent = `Theme: ${name}`;
  theme.dataset.name = name;
}

theme.hidden = false;
setTheme("auto");
theme.addEventListener("click", () => {
  const names = Object.keys(THEMES);
  setTheme(names[(names.indexOf(theme.dataset.name) + 1) % names.length]);
});

// An address may name a row.
const named = location.hash && byId(decodeURIComponent(location.hash.slice(1)));
if (named?.tagName === "TR") goTo(named);
