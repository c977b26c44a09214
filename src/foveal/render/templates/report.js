"use strict";
// The page is whole without this script; it adds two comforts.

// One hovered method, everywhere: its row in the tables and its map in every picture.
for (const kind of ["mouseover", "mouseout"]) {
  document.addEventListener(kind, (event) => {
    const name = event.target.closest?.("[data-name]")?.dataset.name;
    if (!name) return;
    for (const other of document.querySelectorAll("[data-name]")) {
      if (other.dataset.name === name) other.classList.toggle("same", kind === "mouseover");
    }
  });
}

// Tables sort by a column when its heading is pressed.
for (const heading of document.querySelectorAll("th .sort")) {
  const button = document.createElement("button");
  button.className = "sort";
  button.textContent = heading.textContent;
  button.title = "sort by this column";
  heading.replaceWith(button);
  button.addEventListener("click", () => {
    const cell = button.closest("th");
    const descending = cell.getAttribute("aria-sort") !== "descending";
    for (const other of cell.parentElement.children) other.removeAttribute("aria-sort");
    cell.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const body = cell.closest("table").tBodies[0];
    const value = (row) => parseFloat(row.cells[cell.cellIndex].dataset.value || "-Infinity");
    const rows = [...body.rows].sort((a, b) => (descending ? value(b) - value(a) : value(a) - value(b)));
    body.append(...rows);
  });
}
