// The boards: sorted and searched by DataTables, filtered by pills, shown at smaller budgets, copied as text.
// What the reader chose is in the fragment: dataset, family, status, q, budget, at, and of each board sort-<its number>.
ganbench.boards = (() => {
  const PAGE = 100;
  const data = (id) => JSON.parse(document.getElementById(id).textContent);
  const by = (id) => document.getElementById(id);
  const names = data("board-data");
  const FAMILIES = ["generator", "discriminator", "loss"];

  // A fragment's list: each item is escaped once more, so that a comma in a name parts nothing.
  const pack = (items) => (items.length ? items.map(encodeURIComponent).join(",") : null);
  const unpack = (text) => (text ? text.split(",").map(decoded) : []);
  const decoded = (text) => {
    try {
      return decodeURIComponent(text);
    } catch {
      return text; // not written by this page
    }
  };

  // Numbers, with what is missing at the end in both directions.
  const known = (text) => (text === "" ? NaN : Number(text));
  const missingLast = (sign) => (a, b) => {
    const [x, y] = [known(a), known(b)];
    return Number.isNaN(x) || Number.isNaN(y) ? Number.isNaN(x) - Number.isNaN(y) : sign * (x - y);
  };
  DataTable.type("measure", "order", { asc: missingLast(1), desc: missingLast(-1) });
  DataTable.ext.errMode = "none";

  // What a trained row shows when the page opens, as the slider's other stops have it.
  const shownAtFirst = (tr) => {
    const text = (name) => tr.querySelector(`td.${name}`).textContent;
    const score = tr.querySelector("td.score").dataset.order;
    const bar = tr.querySelector(".ranks > i");
    const path = (name) => tr.querySelector(`td.strip .${name}`)?.getAttribute("d").match(/[-\d.]+/g).map(Number);
    const [mean, ends] = [path("mean"), path("bar")];
    return [
      Number(tr.querySelector("td.rank").dataset.order),
      tr.querySelector("td.rank").firstElementChild.textContent,
      text("score"),
      text("interval"),
      tr.querySelector("td.ok").firstChild.nodeValue,
      score === "" ? null : Number(score),
      bar && [parseFloat(bar.style.marginLeft), parseFloat(bar.style.width)],
      mean ? [ends ? ends[0] : mean[0], mean[0], ends ? ends[2] : mean[0]] : null,
    ];
  };

  const sections = [...document.querySelectorAll("section.ranking")].map((element, number) => {
    const { rows, copies, cuts } = data(`${element.id}-data`);
    const node = element.querySelector("table.board");
    const heads = [...node.querySelectorAll("thead th")];
    const keys = heads.map((head) => head.dataset.key);
    for (const help of node.querySelectorAll(".help"))
      for (const kind of ["click", "keydown", "keypress", "mousedown"])
        help.addEventListener(kind, (event) => event.stopPropagation()); // to ask is not to sort
    const first = keys.indexOf("rank");
    const column = (head, key) => ({
      type: head.classList.contains("variant") ? "html" : "measure",
      ...(["seeds", "curve"].includes(key) && { orderData: keys.indexOf("score") }), // pictures go by the mean
      orderSequence: head.dataset.first === "desc" ? ["desc", "asc"] : ["asc", "desc"], // what is better comes first
    });
    const table = new DataTable(node, {
      autoWidth: false,
      paging: rows.length > PAGE,
      pageLength: PAGE,
      lengthChange: false,
      order: first < 0 ? [] : [[first, "asc"]],
      orderMulti: false,
      columns: heads.map((head, index) => column(head, keys[index])),
      language: { zeroRecords: "No row of this board fits the filters.", info: "Rows _START_ to _END_ of _TOTAL_" },
      layout: {
        topStart: null,
        topEnd: null,
        bottomStart: rows.length > PAGE ? "info" : null,
        bottomEnd: rows.length > PAGE ? "paging" : null,
      },
    });
    const feet = rows.length > PAGE ? element.querySelector(".scroll .dt-layout-row:last-child") : null;
    if (feet) element.querySelector(".scroll").after(feet); // the pages' buttons do not scroll sideways with the table
    const trs = table.rows().nodes().toArray();
    const full = cuts ? trs.map((tr) => (tr.querySelector(".swatch") ? shownAtFirst(tr) : null)) : [];
    const titles = trs.map((tr) => tr.querySelector("td.strip title")?.textContent);
    return { element, table, rows, copies, cuts, keys, first, trs, full, titles, at: "full", sort: `sort-${number}` };
  });

  // --- what is chosen

  const pills = [...document.querySelectorAll("[data-filter]")];
  const chosen = (params) => {
    const family = Object.fromEntries(FAMILIES.map((part) => [part, []]));
    for (const item of unpack(params.get("family"))) {
      const [part, ...rest] = item.split(":");
      if (part in family) family[part].push(rest.join(":"));
    }
    return { ...family, dataset: unpack(params.get("dataset")), status: unpack(params.get("status")) };
  };
  const fits = (wanted) => ([status, ...parts]) => {
    if (wanted.status.length && !wanted.status.includes(names.status[status])) return false;
    return FAMILIES.every((part, at) => {
      if (!wanted[part].length) return true;
      const name = parts[at] === undefined ? null : names[part][parts[at]];
      return name === null ? names.status[status] === "reference" : wanted[part].includes(name);
    });
  };

  const filter = (params) => {
    const wanted = chosen(params);
    for (const pill of pills) pill.setAttribute("aria-pressed", wanted[pill.dataset.filter].includes(pill.value));
    if (by("families") && Object.values(wanted).some((items) => items.length)) by("families").open = true;
    const test = fits(wanted);
    for (const section of sections) {
      section.element.hidden = wanted.dataset.length > 0 && !wanted.dataset.includes(section.element.dataset.dataset);
      section.table.search.fixed("pills", (text, row, index) => test(section.rows[index]));
      section.table.search(params.get("q") || "");
    }
  };

  // --- order

  const order = (params) => {
    for (const { table, keys, first, sort } of sections) {
      const [, key, direction] = /^(.*?)(?:\.(asc|desc))?$/s.exec(params.get(sort) || "");
      const column = keys.indexOf(key);
      if (column >= 0) table.order([column, direction || "asc"]);
      else table.order(first < 0 ? [] : [first, "asc"]);
    }
  };
  const ordered = ({ table, keys, first }) => {
    const [column, direction] = table.order().flat();
    const usual = !direction || (column === first && direction === "asc");
    return usual ? null : `${keys[column]}.${direction}`;
  };

  // --- budgets

  const stopsOf = (axis) => (names.stops && Object.hasOwn(names.stops, axis) ? names.stops[axis].at : []);
  const cell = (tr, name) => tr.querySelector(`td.${name}`);
  const path = (tr, name, d) => {
    const found = tr.querySelector(`td.strip .${name}`);
    if (found) found.setAttribute("d", d);
  };
  const ENDED = 0;
  const fill = (tr, index, cells, rows, title) => {
    const trial = rows[index].length > 1;
    tr.classList.toggle("unrecorded", trial && !cells);
    if (!trial) return;
    const missing = [rows.length + index, "–", "–", cells === ENDED ? "ended before" : "", "", null];
    const [place, rank, mean, interval, seeds, value, bar, strip] = cells || missing;
    cell(tr, "rank").dataset.order = place;
    cell(tr, "rank").firstElementChild.textContent = rank;
    const ranks = tr.querySelector(".ranks");
    if (ranks) ranks.style.visibility = bar ? "visible" : "hidden";
    if (ranks && bar) Object.assign(ranks.firstElementChild.style, { marginLeft: `${bar[0]}%`, width: `${bar[1]}%` });
    cell(tr, "score").textContent = mean;
    cell(tr, "interval").textContent = interval;
    cell(tr, "ok").firstChild.nodeValue = seeds;
    cell(tr, "score").dataset.order = value === null ? "" : value;
    const picture = tr.querySelector("td.strip svg");
    if (picture) picture.style.visibility = strip ? "visible" : "hidden";
    if (picture) picture.firstElementChild.textContent = title;
    if (!strip) return;
    path(tr, "bar", `M${strip[0]} 11H${strip[2]}`);
    path(tr, "mean", `M${strip[1]} 5v12`);
  };
  // A page that was made anew may stop elsewhere than the one that a link was saved from.
  const nearest = (stops, value) => {
    if (!(value > 0)) return stops.length;
    const far = stops.map((stop) => Math.abs(Math.log(stop.value / value)));
    return far.indexOf(Math.min(...far));
  };
  const budget = (params) => {
    if (!by("axis")) return;
    const axis = stopsOf(params.get("budget")).length ? params.get("budget") : by("axis").options[0].value;
    const stops = stopsOf(axis);
    const index = nearest(stops, Number(params.get("at")));
    by("axis").value = axis;
    Object.assign(by("at"), { max: stops.length, value: index });
    const told = index < stops.length ? stops[index].text : "all of it";
    by("at-shown").textContent = told;
    by("at").setAttribute("aria-valuetext", told);
    by("at-told").hidden = index === stops.length;
    const at = index < stops.length ? `${axis} ${index}` : "full";
    for (const section of sections) show(section, at, at === "full" ? "full" : axis, index);
  };
  const tell = ({ element }, text) => Object.assign(element.querySelector(".uncut"), { textContent: text, hidden: !text });
  const noteOn = ({ full }, axis, cells) => {
    if (!axis) return "These trials ran on several devices, or took their steps in several ways, so this does not compare.";
    if (!cells) return "Few of these variants were evaluated by this budget and had not ended before, so none is ranked.";
    const [ranked, all] = [cells, full].map((rows) => rows.filter((row) => row && row[5] !== null).length);
    const others = "the others were not evaluated until later, or had ended before";
    return ranked < all ? `Ranked among ${ranked} of ${all} variants: ${others}.` : "";
  };
  const show = (section, at, name, index) => {
    if (section.at === at || !section.cuts) return;
    section.at = at;
    const cells = name === "full" ? section.full : section.cuts[name] && section.cuts[name][index];
    const cut = at !== "full";
    tell(section, cut ? noteOn(section, section.cuts[name], cells) : "");
    section.trs.forEach((tr, row) => {
      const title = cut ? "The mean and its interval at this budget" : section.titles[row];
      fill(tr, row, cells ? cells[row] : null, section.rows, title);
    });
    section.element.classList.toggle("cut", cut);
    for (const button of section.element.querySelectorAll("[data-copy]")) button.disabled = at !== "full";
    section.table.rows().invalidate("dom");
  };

  // --- from the page to the fragment, and back

  const say = (text) => {
    by("said").textContent = text;
  };
  let applying = false;
  const apply = (params) => {
    if ((params.get("view") || "board") !== "board") return;
    applying = true;
    if (document.activeElement !== by("search")) by("search").value = params.get("q") || "";
    budget(params);
    filter(params);
    order(params);
    for (const { table } of sections) table.draw();
    applying = false;
    const shown = sections.filter(({ element }) => !element.hidden);
    const count = (which) => shown.reduce((sum, { table }) => sum + table.rows(which).count(), 0);
    const [now, all] = [count({ search: "applied" }), sections.reduce((sum, { rows }) => sum + rows.length, 0)];
    say(now < all ? `${now} of ${all} rows shown` : "");
  };

  for (const pill of pills)
    pill.addEventListener("click", () => {
      const group = pill.dataset.filter;
      const key = FAMILIES.includes(group) ? "family" : group;
      const item = key === "family" ? `${group}:${pill.value}` : pill.value;
      const items = unpack(ganbench.state.get(key));
      const next = items.includes(item) ? items.filter((other) => other !== item) : [...items, item];
      ganbench.state.set({ [key]: pack(next) });
    });
  by("search").addEventListener("input", () => ganbench.state.set({ q: by("search").value || null }));
  by("controls").addEventListener("submit", (event) => event.preventDefault());
  by("reset").addEventListener("click", () => {
    by("search").value = "";
    const sorts = Object.fromEntries(sections.map(({ sort }) => [sort, null]));
    ganbench.state.set({ dataset: null, family: null, status: null, q: null, budget: null, at: null, ...sorts });
  });
  for (const section of sections)
    section.table.on("order", () => {
      if (!applying) ganbench.state.set({ [section.sort]: ordered(section) });
    });
  if (by("axis")) {
    const moved = () => {
      const stop = stopsOf(by("axis").value)[Number(by("at").value)];
      ganbench.state.set({ budget: by("axis").value, at: stop ? String(stop.value) : null });
    };
    by("at").addEventListener("input", moved);
    by("axis").addEventListener("change", () => ganbench.state.set({ budget: by("axis").value, at: null }));
  }

  // A link to a place on the page must not undo what was chosen.
  for (const link of document.querySelectorAll('main a[href^="#"], header a[href^="#"], a.skip'))
    link.addEventListener("click", (event) => {
      const place = document.getElementById(link.hash.slice(1));
      if (!place) return;
      event.preventDefault();
      if (place.closest("[hidden]")) ganbench.state.set({ view: null, id: null }, true);
      if (!place.hasAttribute("tabindex")) place.tabIndex = -1;
      place.focus({ preventScroll: true });
      place.scrollIntoView();
    });

  // --- copies

  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const area = document.createElement("textarea"); // a page from a file may be refused the clipboard
      area.value = text;
      area.className = "hidden";
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  };
  for (const { element, table, copies } of sections) {
    element.querySelector(".copies").hidden = !copies;
    for (const button of element.querySelectorAll("[data-copy]"))
      button.addEventListener("click", async () => {
        const [head, lines, foot] = copies[button.dataset.copy];
        const indexes = table.rows({ search: "applied", order: "applied" }).indexes().toArray();
        const text = [...head, ...indexes.map((index) => lines[index]), ...foot].join("\n") + "\n";
        const done = await copy(text);
        button.focus();
        const rows = indexes.length === 1 ? "row" : "rows";
        const told = done ? `${indexes.length} ${rows} copied as ${button.textContent}` : "This browser does not let a page copy";
        element.querySelector(".copied").textContent = told;
      });
  }

  // On paper there are no pages to turn.
  const paged = sections.filter(({ rows }) => rows.length > PAGE);
  addEventListener("beforeprint", () => paged.forEach(({ table }) => table.page.len(-1).draw()));
  addEventListener("afterprint", () => paged.forEach(({ table }) => table.page.len(PAGE).draw()));

  by("controls").hidden = false;
  ganbench.state.on(apply);
  return { sections: sections.map(({ table }) => table) };
})();
