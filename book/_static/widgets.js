/* Wakes the book's two widgets; every answer was computed beforehand. */
"use strict";

function chosen(form, name) {
  return form.querySelector(`input[name="${name}"]:checked`).value;
}

function fill(row, texts) {
  [...row.cells].forEach((cell, k) => { cell.textContent = texts[k]; });
}

function shown(value) {
  return value === null ? "skipped" : value.toFixed(3);
}

function wakeExplorer(root) {
  const form = root.querySelector("form");
  const facts = JSON.parse(root.querySelector("script").textContent);
  const rows = (kind) => [...root.querySelectorAll(`table.${kind} tbody tr`)];
  const lists = [...root.querySelectorAll("table.ranked tbody")];

  function showList(body, entries, scores) {
    let place = 0;
    entries.forEach(([index, verdict], k) => {
      const out = verdict === "out";
      place += out ? 0 : 1;
      const [who, camera] = facts.gallery[index];
      const words = out ? "left out" : verdict;
      fill(body.rows[k], [out ? "–" : place, who, camera, scores[index], words]);
    });
  }

  function show() {
    const key = (names) => names.map((name) => chosen(form, name)).join(" ");
    const marks = facts.marks[key(facts.choices)];
    fill(rows("means")[0], ["mean", ...marks[marks.length - 1].map(shown)]);
    rows("each").forEach((row, k) => {
      fill(row, [row.cells[0].textContent, ...marks[k].map(shown)]);
    });
    const entries = facts.lists[key(facts.listed)];
    lists.forEach((body, k) => showList(body, entries[k], facts.scores[k]));
  }

  form.addEventListener("change", show);
  form.hidden = false;
  show();
}

function wakePlayground(root) {
  const form = root.querySelector("form");
  const poses = Number(root.dataset.poses);
  const people = Number(root.dataset.people);
  const sheet = `url("${root.querySelector("img").src}")`;

  function paint(tile, row, column) {
    tile.style.backgroundImage = sheet;
    tile.style.backgroundSize = `${(1 + 2 * poses) * 100}% ${people * 100}%`;
    const x = (column / (2 * poses)) * 100;
    const y = (row / (people - 1)) * 100;
    tile.style.backgroundPosition = `${x}% ${y}%`;
  }

  function show() {
    const row = Number(chosen(form, "person"));
    const pose = Number(chosen(form, "pose"));
    const columns = { source: 0, drawn: 1 + pose, true: 1 + poses + pose };
    const words = {
      source: `Person ${row + 1}, the input`,
      drawn: `Person ${row + 1}, generated in pose ${pose + 1}`,
      true: `Person ${row + 1}, truly in pose ${pose + 1}`,
    };
    root.querySelectorAll("[data-panel]").forEach((tile) => {
      const panel = tile.dataset.panel;
      paint(tile, row, columns[panel]);
      tile.setAttribute("aria-label", words[panel]);
    });
    root.querySelector(".says").textContent =
      `Person ${row + 1} in pose ${pose + 1}.`;
  }

  root.querySelectorAll("[data-row]").forEach((tile) => {
    paint(tile, Number(tile.dataset.row), Number(tile.dataset.column));
  });
  form.addEventListener("change", show);
  form.hidden = false;
  show();
}

document.addEventListener("DOMContentLoaded", () => {
  const explorer = document.getElementById("explorer");
  const playground = document.getElementById("playground");
  if (explorer && explorer.matches(".widget")) wakeExplorer(explorer);
  if (playground && playground.matches(".widget")) wakePlayground(playground);
});
