"use strict";
// Sorts and filters the table of all markers. Without it the table is complete, in the order of the study.
(() => {
  const table = document.getElementById("wide");
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const lines = [...body.rows];
  const number = new Intl.Collator("en", { numeric: true });
  const form = document.getElementById("filters");
  const field = (name) => document.getElementById(`filter-${name}`);

  const key = (line, column) => {
    const text = line.cells[column].textContent.trim();
    const value = parseFloat(text.replace("\u2212", "-"));
    return heads[column].dataset.family ? value : text;
  };

  const compare = (column, sign) => (one, other) => {
    const [a, b] = [key(one, column), key(other, column)];
    if (typeof a === "string") return sign * number.compare(a, b);
    if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
    return sign * (a - b);
  };

  const sort = (column) => {
    const rising = heads[column].getAttribute("aria-sort") !== "ascending";
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[column].setAttribute("aria-sort", rising ? "ascending" : "descending");
    lines.sort(compare(column, rising ? 1 : -1)).forEach((line) => body.append(line));
  };

  const tabs = [...form.querySelectorAll("[data-show]")];
  const inTab = { "": ({ leading }) => leading !== undefined, "*": () => true };

  const columnTest = () => {
    const show = tabs.find((tab) => tab.getAttribute("aria-pressed") === "true").dataset.show;
    const [tier, text] = [field("tier").value, field("column").value.trim().toLowerCase()];
    const wanted = inTab[show] ?? (({ family }) => family === show);
    return (head) => wanted(head.dataset) && (!tier || head.dataset.tier === tier)
      && `${head.title} ${head.textContent}`.toLowerCase().includes(text);
  };

  const status = (cell) => cell.className || "ok";

  const filter = () => {
    const wanted = field("status").value;
    const who = field("who").value.trim().toLowerCase();
    const test = columnTest();
    const columns = heads.map((head) => !head.dataset.family || test(head));
    heads.forEach((head, column) => { head.hidden = !columns[column]; });
    let people = 0;
    for (const line of lines) {
      const cells = [...line.cells];
      const has = cells.some((cell, column) => heads[column].dataset.family && columns[column] && status(cell) === wanted);
      line.hidden = (wanted !== "" && !has) || !cells[0].textContent.toLowerCase().includes(who);
      people += !line.hidden;
      cells.forEach((cell, column) => { cell.hidden = !columns[column]; });
    }
    const shown = columns.filter((shown, column) => shown && heads[column].dataset.family).length;
    field("shown").textContent = `${people} of ${lines.length} rows, ${shown} of ${heads.filter((head) => head.dataset.family).length} columns`;
  };

  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => sort(column)));
  tabs.forEach((tab) => tab.addEventListener("click", () => {
    tabs.forEach((other) => other.setAttribute("aria-pressed", String(other === tab)));
    filter();
  }));
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  filter();
})();
