"use strict";

// The reader's system chooses light or dark; this button chooses the other.
const scheme = document.querySelector(".scheme");
const system = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.scheme ?? (system.matches ? "dark" : "light")) === "dark";
const showScheme = () => {
  scheme.setAttribute("aria-pressed", String(isDark()));
};
scheme.addEventListener("click", () => {
  document.documentElement.dataset.scheme = isDark() ? "light" : "dark";
  showScheme();
});
system.addEventListener("change", showScheme);
showScheme();

// A row's button shows and hides what stands behind it.
const detailOf = (row) => document.getElementById(row.querySelector(".more").getAttribute("aria-controls"));
for (const button of document.querySelectorAll(".results .more")) {
  button.addEventListener("click", () => {
    const detail = detailOf(button.closest("tr"));
    detail.hidden = !detail.hidden;
    button.setAttribute("aria-expanded", String(!detail.hidden));
  });
}

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
    const body = table.tBodies[0];
    const rows = [...body.rows].filter((row) => !row.classList.contains("detail")).sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      return sign * (numeric ? Number(x) - Number(y) : x.localeCompare(y));
    });
    // What a row holds when it is expanded goes with it.
    body.append(...rows.flatMap((row) => [row, detailOf(row)]));
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
