// What a person would try on the report, written into the page as JSON for the test to read.
window.addEventListener("load", async () => {
  const out = { errors: [] };
  out.height = document.documentElement.scrollHeight;
  window.addEventListener("error", (e) => out.errors.push(String(e.message)));
  const table = document.getElementById("table");
  const shown = () => [...table.tBodies[0].rows].filter((row) => !row.hidden);
  const cells = (n) => shown().map((row) => row.cells[n].textContent);
  const heads = [...table.tHead.rows[0].cells];
  const value = heads.findIndex((h) => h.textContent === "value");
  heads[value].querySelector("button").click();
  out.up = cells(value);
  out.ariaUp = heads[value].getAttribute("aria-sort");
  heads[value].querySelector("button").click();
  out.down = cells(value);
  out.ariaDown = heads[value].getAttribute("aria-sort");
  const box = document.getElementById("filter");
  box.value = "DCGAN recall";
  box.dispatchEvent(new Event("input"));
  out.filtered = cells(0).map((name, i) => [name, cells(1)[i]]);
  out.status = document.getElementById("shown").textContent;
  box.value = "";
  box.dispatchEvent(new Event("input"));
  for (const part of document.querySelectorAll("details")) part.open = true;
  out.rows = shown().map((row) => row.getBoundingClientRect().height);
  for (const image of document.images) {
    image.loading = "eager";
    try { await image.decode(); } catch (e) { out.errors.push("image: " + e); }
  }
  out.images = [...document.images].map((image) => image.naturalWidth);
  out.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  const found = await axe.run(document, { resultTypes: ["violations"] });
  out.axe = found.violations.map((v) => [v.impact, v.id, v.nodes.slice(0, 2).map((n) => n.html.slice(0, 160))]);
  const pre = document.createElement("pre");
  pre.id = "probe";
  pre.textContent = JSON.stringify(out);
  document.body.append(pre);
});
