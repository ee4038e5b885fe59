// What moves on the page: the table sorts, charts are drawn once the page is there, pictures open larger.
"use strict";

// ---- the table ------------------------------------------------------------------------------------------------------

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
    const numbers = body.rows[0].cells[column].hasAttribute("data-value");
    const descending = head.ariaSort ? head.ariaSort === "ascending" : numbers; // of numbers, the largest come first
    const value = row => {
      const cell = row.cells[column];
      if (!numbers) return cell.innerText.toLowerCase();
      return cell.dataset.value === "" ? NaN : Number(cell.dataset.value);
    };
    const compare = numbers ? (a, b) => a - b : (a, b) => a.localeCompare(b);
    const rows = [...body.rows].map(row => [value(row), row]);
    rows.sort(([a], [b]) => {
      if (numbers && (isNaN(a) || isNaN(b))) return isNaN(a) - isNaN(b); // what has no value stays at the end
      return descending ? compare(b, a) : compare(a, b);
    });
    body.append(...rows.map(([, row]) => row));
    for (const other of heads) other.removeAttribute("aria-sort");
    head.ariaSort = descending ? "descending" : "ascending";
  }));
}

// ---- the charts -----------------------------------------------------------------------------------------------------

const dark = matchMedia("(prefers-color-scheme: dark)");
const views = new Map(); // place of a chart that was drawn -> its view

async function draw(place) {
  const style = getComputedStyle(document.documentElement), colour = name => style.getPropertyValue(name);
  const spec = JSON.parse(place.nextElementSibling.textContent);
  const lines = { domainColor: colour("--faint"), gridColor: colour("--rule"), tickColor: colour("--faint") };
  const texts = { labelColor: colour("--faint"), titleColor: colour("--ink"), titleFontWeight: "normal" };
  const font = getComputedStyle(document.body).fontFamily;
  views.get(place)?.finalize();
  const { view } = await vegaEmbed(place, spec, {
    actions: false,
    tooltip: { theme: dark.matches ? "dark" : "light" },
    config: { background: "transparent", font, view: { stroke: null }, axis: { ...lines, ...texts } },
  });
  views.set(place, view);
  pick(place.closest("section"));
}

function pick(section) {
  const name = section.querySelector(".legend [aria-pressed=true]")?.dataset.name ?? "";
  for (const place of section.querySelectorAll(".chart")) {
    const view = views.get(place);
    if (view && view.signal("picked") !== name) view.signal("picked", name).runAsync();
  }
}

async function drawAll(places) { // from the top, one after the other: in between the page answers
  for (const place of places) {
    await draw(place).catch(console.error);
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

// ---- the pictures ---------------------------------------------------------------------------------------------------

const dialog = document.querySelector("dialog");
for (const button of document.querySelectorAll(".zoom")) {
  button.addEventListener("click", () => {
    const { src, alt } = button.firstElementChild;
    Object.assign(dialog.querySelector("img"), { src, alt });
    dialog.showModal();
  });
}
dialog.addEventListener("click", event => { if (event.target.localName !== "img") dialog.close(); });
