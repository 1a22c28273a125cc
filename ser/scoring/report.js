"use strict";

// A click on a column's head sorts its table: numbers from high to low first, names from A to Z; empty cells last.
for (const button of document.querySelectorAll(".results thead button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th");
    const table = head.closest("table");
    const column = [...head.parentElement.children].indexOf(head);
    const numeric = head.classList.contains("number");
    const first = numeric ? "descending" : "ascending";
    const other = numeric ? "ascending" : "descending";
    const order = head.getAttribute("aria-sort") === first ? other : first;
    const sign = order === "ascending" ? 1 : -1;
    const key = (row) => row.children[column].dataset.sort ?? "";
    const rows = [...table.tBodies[0].rows].sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      return sign * (numeric ? Number(x) - Number(y) : x.localeCompare(y));
    });
    table.tBodies[0].append(...rows);
    for (const cell of head.parentElement.children) cell.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
  });
}

// Pointing at a speaker sets it off in every row of its section; a click keeps it.
for (const section of document.querySelectorAll("section section")) {
  let kept = null;
  const marks = [...section.querySelectorAll("[data-speaker]")];
  const follow = (speaker) => {
    section.classList.toggle("following", speaker !== null);
    for (const mark of marks) {
      const same = mark.dataset.speaker === speaker;
      mark.classList.toggle("followed", same);
      if (mark.tagName === "BUTTON") mark.setAttribute("aria-pressed", String(same && kept === speaker));
    }
  };
  for (const mark of marks) {
    mark.addEventListener("pointerenter", () => follow(mark.dataset.speaker));
    mark.addEventListener("pointerleave", () => follow(kept));
    mark.addEventListener("click", () => {
      kept = kept === mark.dataset.speaker ? null : mark.dataset.speaker;
      follow(kept);
    });
  }
}
