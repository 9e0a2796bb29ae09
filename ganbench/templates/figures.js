// Elements and small figures, made of nodes and text: nothing that came from results is ever read as markup.
ganbench.figures = (() => {
  const fill = (element, attributes, children) => {
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };
  const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
  const svg = (tag, attributes = {}, ...children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
  const number = (value) =>
    Math.abs(value) >= 1e5 || (value !== 0 && Math.abs(value) < 1e-3)
      ? value.toExponential(1)
      : String(Number(value.toPrecision(3)));
  const known = (values) => values.filter((value) => value !== null);
  // A picture whose room is there before it has loaded, each of its pixels as large as the others (`.whole` in CSS).
  const picture = (source, [width, height], alt, attributes = {}) =>
    make("img", { src: source, width, height, alt, loading: "lazy", ...attributes, style: `--width: ${width}px`, class: `whole ${attributes.class ?? ""}`.trim() });

  const WIDTH = 420, HEIGHT = 230, LEFT = 52, RIGHT = 12, TOP = 20, BOTTOM = 40;
  const LETTER = 6.2; // the usual width of a tick's letter

  const stepOf = (low, high, count) => {
    const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
    return [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough * 0.999);
  };
  const steps = (low, high, count) => {
    const step = stepOf(low, high, count);
    const first = Math.ceil(low / step - 1e-9);
    return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step);
  };
  const linear = (values, from, to, nice = false) => {
    let low = Math.min(...values), high = Math.max(...values);
    if (high === low) [low, high] = [low - (Math.abs(low) || 1) / 10, high + (Math.abs(high) || 1) / 10];
    if (nice) {
      const step = stepOf(low, high, 4);
      [low, high] = [Math.floor(low / step + 1e-9) * step, Math.ceil(high / step - 1e-9) * step];
    }
    const place = (value) => from + ((value - low) / (high - low)) * (to - from);
    return { place, ticks: steps(low, high, 4) };
  };
  // Logarithmic for what is positive and wide enough for it to matter.
  const scaleOf = (values, from, to, wide) => {
    const low = Math.min(...values), high = Math.max(...values);
    if (!wide || low <= 0 || high < 5 * low) return linear(values, from, to, true);
    const inner = linear(values.map(Math.log10), from, to);
    const ticks = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
      for (const factor of high / low > 100 ? [1] : [1, 2, 5]) ticks.push(factor * 10 ** power);
    }
    return { place: (value) => inner.place(Math.log10(value)), ticks: ticks.filter((tick) => tick >= low && tick <= high), logarithmic: true };
  };

  const axes = (x, y, title, height = HEIGHT) => [
    ...x.ticks.map((tick) =>
      svg("text", { class: "tick", x: x.place(tick), y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" }, number(tick))),
    ...y.ticks.flatMap((tick) => [
      svg("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y.place(tick), y2: y.place(tick) }),
      svg("text", { class: "tick", x: LEFT - 6, y: y.place(tick) + 4, "text-anchor": "end" }, number(tick)),
    ]),
    y.logarithmic ? svg("text", { class: "tick", x: 0, y: TOP - 10 }, "logarithmic scale") : null,
    svg("text", { class: "tick", x: WIDTH - RIGHT, y: height - 6, "text-anchor": "end" }, title),
  ];
  const DASHES = ["", "7 3", "2 3", "9 3 2 3"];
  const styleOf = (place) => `--colour: var(--colour-${place % 6})`;
  const legend = (names) =>
    make("ul", { class: "legend" }, ...names.map((name, place) =>
      make("li", { style: styleOf(place) },
        svg("svg", { width: 26, height: 10, "aria-hidden": "true" },
          svg("line", { class: "series", x1: 0, x2: 26, y1: 5, y2: 5, "stroke-dasharray": DASHES[place % 4] })),
        " ", make("bdi", {}, name))));
  const framed = (title, about, drawing, ...more) =>
    make("figure", { class: "small-figure" }, make("figcaption", {}, make("b", {}, make("bdi", {}, title)), about ? ` ${about}` : null),
      drawing, ...more);
  const canvas = (title, height, ...children) =>
    svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": title }, ...children);

  // Lines over one axis: `series` is a list of [name, values], a point a value, null where there is none.
  const lines = (title, axis, x, series, wide = false) => {
    const values = known(series.flatMap(([, points]) => points));
    if (!values.length) return null;
    const across = linear(known(x), LEFT, WIDTH - RIGHT), up = scaleOf(values, HEIGHT - BOTTOM, TOP, wide);
    const drawn = series.map(([name, points], place) => {
      const placed = points.map((value, i) => (value === null || x[i] === null ? null : [across.place(x[i]), up.place(value), value, x[i]]));
      const runs = placed.map((point, i) => (point ? `${i && placed[i - 1] ? "L" : "M"}${point[0].toFixed(1)} ${point[1].toFixed(1)}` : ""));
      return svg("g", { style: styleOf(place) },
        svg("path", { class: "series", d: runs.join(""), "stroke-dasharray": DASHES[place % 4] }),
        ...placed.filter(Boolean).map(([left, top, value, at]) =>
          svg("circle", { class: "dot", cx: left.toFixed(1), cy: top.toFixed(1), r: 3 }, svg("title", {}, `${name}: ${number(value)} at ${number(at)} ${axis}`))));
    });
    const name = up.logarithmic ? `${title}, on a logarithmic scale` : title;
    return framed(title, "", canvas(name, HEIGHT, ...axes(across, up, axis), ...drawn), series.length > 1 ? legend(series.map(([name]) => name)) : null);
  };

  // What stands below the bars: where names count modes, the numbers alone, and the word for all of them.
  const shortened = (names) => {
    const counted = names.map((name) => /^(.*\D)\s(\d+)$/.exec(name)), word = counted[0]?.[1];
    if (counted.filter((found) => found && found[1] === word).length < Math.max(names.length - 1, 2)) return { word: "", labels: names };
    return { word, labels: names.map((name, i) => (counted[i]?.[1] === word ? counted[i][2] : name === `no ${word}` ? "none" : name)) };
  };
  // Labels below places, level where they have room, else tilted; `deeper` is what tilted ones take.
  const ticksBelow = (labels, places, room) => {
    const shown = labels.map((name) => (name.length > 16 ? `${name.slice(0, 15)}…` : name)), longest = LETTER * Math.max(...shown.map((name) => name.length));
    const every = Math.ceil(labels.length / 20), tilted = longest > room * every - LETTER, y = HEIGHT - BOTTOM + 16;
    const told = shown.map((name, i) => {
      if (i % every) return null;
      const turned = { "text-anchor": "end", transform: `rotate(-40 ${places[i].toFixed(1)} ${y - 4})` };
      return svg("text", { class: "tick", x: places[i].toFixed(1), y: tilted ? y - 4 : y, ...(tilted ? turned : { "text-anchor": "middle" }) }, name);
    });
    return { told, deeper: tilted ? Math.ceil(longest * 0.64) : 0 };
  };
  // The share of each class among the data and among the samples.
  const classes = (names, data, samples) => {
    const high = Math.max(...data, ...samples, 1e-9), up = linear([0, high], HEIGHT - BOTTOM, TOP, true);
    const room = (WIDTH - LEFT - RIGHT) / names.length, wide = Math.max(room * 0.36, 0.5);
    const start = (i) => LEFT + i * room + room * 0.12;
    const bar = (kind, value, left) =>
      svg("rect", { class: kind, x: left.toFixed(2), y: up.place(value).toFixed(1), width: wide.toFixed(2), height: (HEIGHT - BOTTOM - up.place(value)).toFixed(1) });
    const drawn = names.map((name, i) => {
      const left = start(i), about = `${name}: data ${number(data[i])}, samples ${number(samples[i])}`;
      return svg("g", {}, svg("title", {}, about), bar("data-bar", data[i], left), bar("sample-bar", samples[i], left + wide));
    });
    const { word, labels } = shortened(names), { told, deeper } = ticksBelow(labels, names.map((_, i) => start(i) + wide), room);
    const apart = data.reduce((sum, share, i) => sum + Math.abs(share - samples[i]), 0) / 2;
    const about = `Hollow: the data's shares. Filled: the samples'. Total variation distance: ${number(apart)}.`;
    const table = numbers("The shares", ["class", "data", "samples"], names.map((name, i) => [name, number(data[i]), number(samples[i])]));
    const height = HEIGHT + deeper;
    return framed("Classes", about, canvas("Share of each class among data and samples", height, ...axes({ ticks: [] }, up, word, height), ...drawn, ...told), table);
  };

  // Points in the plane, in a frame around the data's.
  const cloud = (data, samples) => {
    const side = 360, frames = [0, 1].map((i) => {
      const values = data.map((point) => point[i]), low = Math.min(...values), high = Math.max(...values), margin = (high - low) * 0.2 || 1;
      return [low - margin, high + margin];
    });
    const place = (point) => point.map((value, i) => ((value - frames[i][0]) / (frames[i][1] - frames[i][0])) * side);
    const dots = (points, kind) => points.map(place).filter(([x, y]) => x >= 0 && x <= side && y >= 0 && y <= side);
    const kinds = [["data-dot", data, 3.4, "held-out points"], ["sample-dot", samples, 1.9, "samples"]];
    const drawn = kinds.map(([kind, points, r]) =>
      svg("g", { class: kind }, ...dots(points).map(([x, y]) => svg("circle", { cx: x.toFixed(1), cy: (side - y).toFixed(1), r }))));
    const outside = samples.length - dots(samples).length;
    const about = `${data.length} held-out points as rings, ${samples.length} samples as dots${outside ? `, ${outside} of them outside the frame` : ""}.`;
    const key = make("ul", { class: "legend" }, ...kinds.map(([kind, , , name]) =>
      make("li", {}, svg("svg", { width: 12, height: 10, "aria-hidden": "true" }, svg("g", { class: kind }, svg("circle", { cx: 6, cy: 5, r: 3.4 }))), ` ${name}`)));
    return framed("Points", about, svg("svg", { viewBox: `0 0 ${side} ${side}`, role: "img", "aria-label": `Points. ${about}`, class: "cloud" }, ...drawn), key);
  };

  const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
  // How far generated and held-out images are from the nearest training image.
  const neighbours = (what, samples, heldout) => {
    const all = [...samples, ...heldout], height = 118, across = linear([0, ...all], LEFT + 36, WIDTH - RIGHT);
    const row = (name, values, top, kind) => [
      svg("text", { class: "tick", x: LEFT + 28, y: top + 5, "text-anchor": "end" }, name),
      svg("g", { class: kind }, ...values.map((value) => svg("line", { x1: across.place(value).toFixed(1), x2: across.place(value).toFixed(1), y1: top - 10, y2: top + 10 }))),
      svg("line", { class: "median", x1: across.place(median(values)), x2: across.place(median(values)), y1: top - 15, y2: top + 15 }),
    ];
    const ticks = across.ticks.map((tick) => svg("text", { class: "tick", x: across.place(tick), y: height - 6, "text-anchor": "middle" }, number(tick)));
    const about = `Distance to the nearest training image (${what}). Median: samples ${number(median(samples))}, held-out images ${number(median(heldout))}. Samples that are much nearer than held-out images may be copies; blurred ones are nearer, too.`;
    return framed("Nearest training images", about, canvas("Distances to the nearest training image", height,
      ...(samples.length ? row("samples", samples, 24, "sample-ticks") : []), ...(heldout.length ? row("held-out", heldout, 68, "data-ticks") : []), ...ticks));
  };

  // A table behind a summary, for those who would rather read than look.
  const numbers = (summary, headings, rows) =>
    make("details", { class: "numbers" }, make("summary", {}, summary),
      make("div", { class: "scroll", role: "region", "aria-label": summary, tabindex: 0 }, table(headings, rows)));
  const table = (headings, rows) =>
    make("table", { class: "plain" },
      make("thead", {}, make("tr", {}, ...headings.map((heading, i) => make("th", { scope: "col", class: i ? "number" : null }, heading)))),
      make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell, i) =>
        i ? make("td", { class: "number" }, cell ?? "–") : make("th", { scope: "row" }, cell instanceof Node ? cell : make("bdi", {}, cell)))))));

  return { make, svg, picture, lines, classes, cloud, neighbours, numbers, table, number };
})();
