"use strict";

// --- tables: sort by a click or Enter on a column header ---

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(table, heads, column));
    head.append(button);
    head.setAttribute("aria-sort", "none");
  });
}

function sort(table, heads, column) {
  const up = heads[column].getAttribute("aria-sort") !== "ascending";
  heads.forEach(head => head.setAttribute("aria-sort", "none"));
  heads[column].setAttribute("aria-sort", up ? "ascending" : "descending");
  const number = heads[column].classList.contains("number");
  const value = row => {
    const text = row.cells[column].textContent.trim();
    return number ? parseFloat(text.replace("\u2212", "-").replace(/^[^\d.+-]+/, "")) : text;
  };
  const rows = [...table.tBodies[0].rows].map(row => [value(row), row]);
  rows.sort(([a], [b]) => (up ? 1 : -1) * (number ? compare(a, b) : a.localeCompare(b)));
  table.tBodies[0].append(...rows.map(([, row]) => row));
}

function compare(a, b) {
  return Number.isNaN(a) ? (Number.isNaN(b) ? 0 : -1) : Number.isNaN(b) ? 1 : a - b;
}

// --- charts: the tooltip of the nearest spot, by pointer or arrow keys ---

const REACH = 24; // distance from which the pointer finds a spot, in CSS pixels
const tip = document.createElement("div");
tip.className = "tip";
tip.setAttribute("role", "status");
tip.hidden = true;
document.body.append(tip);

let shown = null;

function show(spot) {
  if (spot === shown) return;
  shown?.rect.classList.remove("on");
  shown = spot;
  tip.hidden = !spot;
  if (!spot) return;
  spot.rect.classList.add("on");
  tip.textContent = spot.text;
  place(spot);
}

function place(spot) {
  const box = spot.rect.getBoundingClientRect(), size = tip.getBoundingClientRect();
  const left = box.left + box.width / 2 - size.width / 2, above = box.top - size.height - 8;
  const room = document.documentElement.clientWidth - size.width - 8;
  tip.style.left = Math.max(8, Math.min(left, room)) + "px";
  tip.style.top = (above > 4 ? above : box.bottom + 8) + "px";
}

function distance(spot, x, y) {
  const box = spot.rect.getBoundingClientRect();
  const across = Math.max(box.left - x, 0, x - box.right);
  const up = Math.max(box.top - y, 0, y - box.bottom);
  const middle = Math.hypot(box.left + box.width / 2 - x, box.top + box.height / 2 - y);
  return [Math.hypot(across, up), middle];
}

function nearest(spots, x, y) {
  let best = null, least = [REACH, Infinity];
  for (const spot of spots) {
    const gap = distance(spot, x, y);
    const closer = gap[0] - least[0] || gap[1] - least[1];
    if (closer < 0) [best, least] = [spot, gap];
  }
  return best;
}

for (const chart of document.querySelectorAll("svg.plot")) {
  const spots = [...chart.querySelectorAll(".spots rect")].map(rect => {
    const title = rect.firstElementChild;
    title.remove(); // otherwise the browser would show a second tooltip
    return { rect, text: title.textContent };
  });
  if (!spots.length) continue;
  chart.addEventListener("pointermove", event => show(nearest(spots, event.clientX, event.clientY)));
  chart.addEventListener("pointerdown", event => show(nearest(spots, event.clientX, event.clientY)));
  chart.addEventListener("pointerleave", () => show(null));
  chart.addEventListener("focus", () => chart.matches(":focus-visible") && show(spots[0]));
  chart.addEventListener("blur", () => show(null));
  chart.addEventListener("keydown", event => {
    const at = spots.indexOf(shown), last = spots.length - 1;
    const to = {
      ArrowRight: Math.min(at + 1, last), ArrowDown: Math.min(at + 1, last),
      ArrowLeft: Math.max(at - 1, 0), ArrowUp: Math.max(at - 1, 0), Home: 0, End: last,
    }[event.key];
    if (to === undefined && event.key !== "Escape") return;
    event.preventDefault();
    show(to === undefined ? null : spots[to]);
  });
}
addEventListener("scroll", () => shown && place(shown), { passive: true });
