// Tables whose headings say how to sort: the headings become buttons. Rows without a value come
// last, whichever way; equal ones keep their order.
"use strict";
(() => {
  const text = (row, column) => row.cells[column].textContent.trim();
  const words = new Intl.Collator("en", { numeric: true });

  function compare(kind, column, sign) {
    if (kind === "text") return (a, b) => sign * words.compare(text(a, column), text(b, column));
    const value = (row) => row.cells[column].dataset.value;
    return (a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      return sign * (Number(x) - Number(y));
    };
  }

  function sort(table, heading) {
    const up = heading.getAttribute("aria-sort") !== "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    const body = table.tBodies[0];
    const order = compare(heading.dataset.sort, heading.cellIndex, up ? 1 : -1);
    body.append(...[...body.rows].sort(order));
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    const headings = [...table.tHead.rows[0].cells].filter((cell) => cell.dataset.sort);
    for (const heading of headings) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => sort(table, heading));
    }
    if (table.closest("#ranking")) headings[0].setAttribute("aria-sort", "ascending");
  }
})();
