// Sorts the table, draws the charts after the page has loaded, enlarges figures.
"use strict";

// ---- the table ------------------------------------------------------------------------------------------------------

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
    const numbers = body.rows[0].cells[column].hasAttribute("data-value");
    const descending = head.ariaSort ? head.ariaSort === "ascending" : numbers; // numbers: largest first
    const value = row => {
      const cell = row.cells[column];
      if (!numbers) return cell.innerText.toLowerCase();
      return cell.dataset.value === "" ? NaN : Number(cell.dataset.value);
    };
    const compare = numbers ? (a, b) => a - b : (a, b) => a.localeCompare(b);
    const rows = [...body.rows].map(row => [value(row), row]);
    rows.sort(([a], [b]) => {
      if (numbers && (isNaN(a) || isNaN(b))) return isNaN(a) - isNaN(b); // rows without a value stay last
      return descending ? compare(b, a) : compare(a, b);
    });
    body.append(...rows.map(([, row]) => row));
    for (const other of heads) other.removeAttribute("aria-sort");
    head.ariaSort = descending ? "descending" : "ascending";
  }));
}

// ---- the charts -----------------------------------------------------------------------------------------------------

const dark = matchMedia("(prefers-color-scheme: dark)");
const views = new Map(); // container -> Vega view of its chart

async function draw(container) {
  const style = getComputedStyle(document.documentElement), colour = name => style.getPropertyValue(name);
  const spec = JSON.parse(container.nextElementSibling.textContent);
  const lines = { domainColor: colour("--faint"), gridColor: colour("--rule"), tickColor: colour("--faint") };
  const texts = { labelColor: colour("--faint"), titleColor: colour("--ink"), titleFontWeight: "normal" };
  const font = getComputedStyle(document.body).fontFamily;
  views.get(container)?.finalize();
  const { view } = await vegaEmbed(container, spec, {
    actions: false,
    tooltip: { theme: dark.matches ? "dark" : "light" },
    config: { background: "transparent", font, view: { stroke: null }, axis: { ...lines, ...texts } },
  });
  views.set(container, view);
  pick(container.closest("section"));
}

function pick(section) {
  const name = section.querySelector(".legend [aria-pressed=true]")?.dataset.name ?? "";
  for (const container of section.querySelectorAll(".chart")) {
    const view = views.get(container);
    if (view && view.signal("picked") !== name) view.signal("picked", name).runAsync();
  }
}

async function drawAll(containers) { // one at a time, so that the page stays responsive
  for (const container of containers) {
    await draw(container).catch(console.error);
    await new Promise(resolve => setTimeout(resolve));
  }
}
addEventListener("load", () => drawAll(document.querySelectorAll(".chart")));
dark.addEventListener("change", () => drawAll(views.keys()));

for (const button of document.querySelectorAll(".legend button")) {
  button.addEventListener("click", () => {
    const pressed = button.ariaPressed !== "true";
    for (const other of button.parentElement.children) other.ariaPressed = false;
    button.ariaPressed = pressed;
    pick(button.closest("section"));
  });
}

// ---- the figures ----------------------------------------------------------------------------------------------------

const dialog = document.querySelector("dialog");
for (const button of document.querySelectorAll(".zoom")) {
  button.addEventListener("click", () => {
    const { src, alt } = button.firstElementChild;
    Object.assign(dialog.querySelector("img"), { src, alt });
    dialog.showModal();
  });
}
dialog.addEventListener("click", event => { if (event.target.localName !== "img") dialog.close(); });
