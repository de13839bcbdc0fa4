"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const LIMIT = 300;
  const head = document.querySelector("#rows thead");
  const body = document.querySelector("#rows tbody");
  const filter = document.getElementById("filter");
  const more = document.getElementById("more");
  const shown = document.getElementById("shown");
  // Columns 0..2 are words, the others numbers or null.
  const columns = ["clip", "scenario", "system", ...data.fields.map((f) => f.label)];
  let order = null;
  let all = false;

  function compare(column, sign) {
    return (a, b) => {
      const x = a[column], y = b[column];
      if (x === null || y === null) return (x === null) - (y === null); // without a value: last, either way
      return sign * (column < 3 ? x.localeCompare(y, undefined, { numeric: true }) : x - y);
    };
  }

  function draw() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let rows = data.rows.filter((row) => words.every((w) => row.slice(0, 3).join(" ").toLowerCase().includes(w)));
    if (order) rows = rows.slice().sort(compare(order.column, order.sign));
    const visible = all ? rows : rows.slice(0, LIMIT);
    body.replaceChildren(...visible.map((row) => {
      const tr = document.createElement("tr");
      row.forEach((value, column) => {
        const td = document.createElement("td");
        if (column < 3) { td.className = "text"; td.textContent = value; }
        else td.textContent = value === null ? "\u2013" : value.toFixed(data.fields[column - 3].decimals);
        tr.append(td);
      });
      return tr;
    }));
    shown.textContent = `${visible.length} of ${data.rows.length} rows`;
    more.hidden = visible.length === rows.length;
  }

  const headings = columns.map((label, column) => {
    const th = document.createElement("th");
    const button = document.createElement("button");
    if (column < 3) th.className = "text";
    button.type = "button";
    button.textContent = label;
    button.addEventListener("click", () => {
      const again = order && order.column === column;
      order = { column, sign: again ? -order.sign : 1 };
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      th.setAttribute("aria-sort", order.sign > 0 ? "ascending" : "descending");
      draw();
    });
    th.append(button);
    return th;
  });
  const line = document.createElement("tr");
  line.append(...headings);
  head.append(line);
  filter.addEventListener("input", draw);
  more.addEventListener("click", () => { all = true; draw(); });
  draw();

  // One player at a time; within a clip the next takes over where the last one was, to compare by ear.
  let last = null;
  document.addEventListener("play", (event) => {
    const player = event.target;
    if (last && last !== player) {
      last.pause();
      if (last.closest(".clip") === player.closest(".clip") && !last.ended && last.currentTime < player.duration)
        player.currentTime = last.currentTime;
    }
    last = player;
  }, true);
})();
