// The page of a variant and that of a trial, made when they are asked for.
ganbench.details = (() => {
  const { make, picture: drawn, lines, classes, cloud, neighbours, numbers, table, number } = ganbench.figures;
  const told = JSON.parse(document.getElementById("details").textContent);
  const IDS = { variant: /^\d+-\d+$/, trial: /^[0-9a-f]{64}$/ };
  const waiting = new Map();

  const text = (place) => (typeof place === "number" ? told.texts[place] : place);
  const picture = (place) => {
    if (typeof place !== "number") return place;
    return told.pictures[place] ?? document.querySelector(`img[data-picture="${place}"]`)?.src ?? "";
  };
  const values = (place) => JSON.parse(text(place));

  // What is told of a variant or a trial, null if nothing is; in a folder it lies in a script of its own.
  const find = (kind, id) => new Promise((resolve) => {
    const entries = told[`${kind}s`];
    if (Object.hasOwn(entries, id)) return resolve(entries[id]);
    if (!told.files || !IDS[kind].test(id)) return resolve(null);
    const script = make("script", { src: `${told.files}/${kind}-${id}.js` });
    waiting.set(`${kind} ${id}`, resolve);
    script.addEventListener("error", () => resolve(null));
    document.head.append(script);
  });
  const take = ({ kind, id, entry }) => {
    told[`${kind}s`][id] = entry;
    waiting.get(`${kind} ${id}`)?.(entry);
  };

  const address = (changes) => {
    const next = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
    for (const [key, value] of Object.entries(changes)) value === null ? next.delete(key) : next.set(key, value);
    return `#${next}`;
  };
  const link = (kind, id, name) => make("a", { href: address({ view: kind, id }) }, make("bdi", {}, name));
  const board = () => make("a", { href: address({ view: "board", id: null }) }, "Leaderboard");
  const path = (...links) =>
    make("nav", { "aria-label": "Where this is", class: "path" }, ...links.flatMap((part, i) => (i ? [" › ", part] : [part])));
  const title = (...words) => make("h2", { tabindex: -1 }, ...words);
  const block = (heading, ...parts) => (parts.some(Boolean) ? [make("h3", {}, heading), ...parts.filter(Boolean)] : []);
  const scroll = (name, content) => make("div", { class: "scroll", role: "region", "aria-label": name, tabindex: 0 }, content);
  const about = (section) => make("p", { class: "soft" }, make("bdi", {}, section.dataset), ` · ${section.budget} each`);
  const recipe = (parts) =>
    make("div", { class: "parts" }, ...parts.map(([name, place]) => make("section", {}, make("h4", {}, name), make("pre", {}, text(place)))));
  const costs = (place, heading, [names, amounts]) => scroll(place, table(["What", heading, "Unit"], values(names).map(([name, unit], i) =>
    [make("span", { title: told.meanings[name]?.[1] }, told.meanings[name]?.[0] ?? name), amounts[i], unit || "–"])));

  // A trial's numbers under their names, which many trials share.
  const opened = (trial) => {
    const curve = trial.curve && Object.fromEntries(values(trial.curve[0]).map((name, i) => [name, trial.curve[1][i]]));
    const scores = values(trial.scores[0]).map(([name, better], i) => ({ name, better, value: trial.scores[1][i][0], noise: trial.scores[1][i][1] }));
    return { ...trial, curve, scores };
  };

  const variantPage = (variant) => {
    const section = told.sections[variant.section];
    const interval = variant.interval ? ` [${variant.interval.join(", ")}]` : "";
    const rows = variant.trials.map((trial) => [
      trial.told ? link("trial", trial.key, `seed ${trial.seed}`) : make("span", {}, `seed ${trial.seed}`),
      trial.status === "ok" ? "ok" : make("span", { class: "status" }, trial.status),
      `${trial.score}${trial.noise ? ` ± ${trial.noise}` : ""}`, trial.kimg, trial.seconds,
    ]);
    const pictures = variant.trials.filter((trial) => trial.picture !== null).map(({ picture: [place, ...size], ...trial }) =>
      make("figure", {}, drawn(picture(place), size, `Last samples of seed ${trial.seed}`),
        make("figcaption", {}, link("trial", trial.key, `seed ${trial.seed}`), ` · ${trial.score}`)));
    const untold = variant.trials.filter((trial) => !trial.told).length;
    return [
      path(board()), title(make("bdi", {}, variant.label)), about(section),
      make("p", { class: "sentence" }, variant.rank ? `Rank ${variant.rank} by ` : "By ", make("bdi", {}, section.score),
        `: ${variant.mean}${interval}, ${section.direction} is better. ${variant.ok} of ${variant.attempted} seeds have a score.`),
      ...block("Trials", scroll("Trials", table(["Trial", "Status", section.score, "kimg", "Device s"], rows)),
        untold ? make("p", { class: "caption" }, `${untold} of these have no page of their own here.`) : null, limits()),
      ...block("Last samples of each seed", pictures.length ? make("div", { class: "samples seeds" }, ...pictures) : null),
      ...block("Size, speed and memory", variant.costs[1].length ? costs("Size, speed and memory", "Median", variant.costs) : null,
        make("p", { class: "caption" }, `Medians over ${variant.ok ? "the seeds that have a score" : "all seeds: none has a score"}. Generator updates are those that the budget lasted for.`)),
      ...block("What it is made of", recipe(variant.parts)),
    ];
  };
  const limits = () => (told.told >= told.of ? null
    : make("p", { class: "caption" }, `This file tells of ${told.told} of ${told.of} trials: those of the best variants, then what failed. `,
      make("code", {}, "ganbench leaderboard --site DIR"), " writes all of them."));

  // Ways to the trials before and after this one among those of its variant that have a page.
  const seeds = (variant, key) => {
    const trials = variant?.trials.filter((trial) => trial.told || trial.key === key) ?? [], at = trials.findIndex((trial) => trial.key === key);
    const [before, after] = at < 0 ? [] : [trials[at - 1], trials[at + 1]];
    if (!before && !after) return null;
    return make("nav", { "aria-label": "Other seeds", class: "seeds-beside" },
      before ? link("trial", before.key, `← seed ${before.seed}`) : null, after ? link("trial", after.key, `seed ${after.seed} →`) : null);
  };

  const trialPage = (entry, key, variant) => {
    const trial = opened(entry), section = told.sections[trial.section], failed = trial.status !== "ok";
    const facts = [trial.finished && `finished ${trial.finished}`, trial.attempt > 1 && `attempt ${trial.attempt}`].filter(Boolean);
    return [
      path(board(), link("variant", trial.variant, trial.label)),
      title(make("bdi", {}, trial.label), `, seed ${trial.seed}`), about(section), seeds(variant, key),
      make("p", {}, failed ? make("span", { class: "status" }, trial.status) : "ok", ...facts.map((fact) => ` · ${fact}`)),
      ...(failed ? failure(trial) : []),
      make("div", { class: "beside" }, make("div", {}, ...block("Samples", ...samples(trial))), make("div", {}, ...block("Scores", scores(trial)))),
      ...block("Curves", curves(trial)),
      ...block("What it learnt of the data", portrait(trial)),
      ...block("Between samples", between(trial)),
      ...block("Memorisation", ...memory(trial)),
      ...block("What it cost", costs("Costs", "Amount", trial.costs)),
      ...block("Do it again", command(trial.command)),
      ...block("Recipe", make("p", { class: "soft" }, "Key ", make("code", { class: "key" }, key)), recipe(trial.parts)),
      ...block("Environment", trial.environment === null ? null : make("details", { class: "numbers" }, make("summary", {}, "All that was recorded of it"), make("pre", {}, text(trial.environment)))),
    ];
  };
  const scores = (trial) => (trial.scores.length ? scroll("Scores", table(["Score", "Value", "Metric noise", "Better"],
    trial.scores.map(({ name, value, noise, better }) => [name, value, noise ? `± ${noise}` : "–", better]))) : null);
  const failure = (trial) => [
    make("p", { class: "message" }, make("bdi", {}, trial.message || "It left no message."), trial.step === null ? null : ` (at generator update ${trial.step})`),
    trial.log === null ? null : make("details", { open: true }, make("summary", {}, "The end of its log"), make("pre", { class: "log" }, text(trial.log))),
  ];
  const samples = (trial) => {
    const at = new Map((trial.curve?.steps ?? []).map((step, i) => [step, trial.curve.kimg?.[i]]));
    const frames = (trial.film ?? []).map(([place, step]) => {
      const kimg = at.get(step);
      return { source: picture(place), told: step === null ? "samples" : `generator update ${step.toLocaleString("en")}${kimg == null ? "" : `, ${number(kimg)} kimg`}` };
    });
    const caption = [
      `${frames.length > 1 ? "The same latents at each evaluation point, from" : "From"} the generator that is scored: its moving average where there is one.`,
      trial.of_points ? ` Blue: samples. Grey: held-out points. ${FRAME}` : "",
    ].join("");
    return [
      frames.length ? make("p", { class: "soft" }, caption) : null,
      frames.length ? ganbench.film.show(frames, trial.size) : null,
      trial.left_out ? make("p", { class: "caption" }, "Some pictures of this trial are left out, for this file's size.") : null,
    ];
  };
  const FRAME = "The frame is the data's, with a margin of a fifth; what lies outside is not drawn.";
  const wide = ([place, ...size], alt, caption) =>
    make("figure", { class: "wide-figure" }, make("figcaption", { class: "caption" }, caption), scroll(alt, drawn(picture(place), size, alt)));
  const between = (trial) => {
    if (trial.interpolations === undefined) return null;
    const caption = trial.of_points
      ? `Blue squares: samples, in pairs. The line from one to the other: what the generator makes of the latents between theirs. Grey: held-out points. ${FRAME} So a line that stops at an edge leaves the frame there.`
      : "A row a pair: the sample of one latent on the left, that of another on the right, and between them what the generator makes of the latents on the way (spherical interpolation).";
    return wide(trial.interpolations, "Samples on the way from one latent to another", caption);
  };

  const AXES = { kimg: "kimg", steps: "generator updates", device_seconds: "device s", petaflops: "PFLOP" };
  const curves = (trial) => {
    const curve = trial.curve;
    if (!curve) return null;
    const wanted = ganbench.state.get("axis"), axis = [wanted, trial.axis, "steps"].find((name) => Object.hasOwn(AXES, name ?? "") && curve[name]);
    if (!axis) return null;
    const group = (start, ...without) =>
      Object.entries(curve).filter(([name]) => name.startsWith(start) && !without.includes(name)).map(([name, points]) => [name.slice(start.length), points]);
    const scored = new Map(trial.scores.map(({ name, better }) => [name, better]));
    const measured = Object.keys(curve).filter((name) => scored.has(name) || name === told.sections[trial.section].score);
    const figures = [
      lines("Terms of the discriminator's loss", AXES[axis], curve[axis], group("discriminator/", "discriminator/accuracy")),
      lines("Terms of the generator's loss", AXES[axis], curve[axis], group("generator/")),
      lines("Mean logits", AXES[axis], curve[axis], group("logit/")),
      lines("Accuracy of the discriminator", AXES[axis], curve[axis], group("discriminator/accuracy").map(([, points]) => ["accuracy", points])),
      lines("Norms of the gradients", AXES[axis], curve[axis], group("gradient_norm/"), true),
      ...measured.map((name) => lines(name, AXES[axis], curve[axis], [[name, curve[name]]], scored.get(name) !== "higher")),
    ].filter(Boolean);
    const names = Object.keys(curve), rows = curve[axis].map((_, i) => names.map((name) => (curve[name][i] === null ? "–" : number(curve[name][i]))));
    return make("div", {}, make("div", { class: "small-figures" }, ...figures), numbers("All numbers of the curves", names.map((name) => AXES[name] ?? name), rows));
  };
  const portrait = (trial) => {
    const parts = [
      trial.classes ? classes(values(trial.classes.names), values(trial.classes.data), values(trial.classes.samples)) : null,
      trial.points ? cloud(values(trial.points.data), values(trial.points.samples)) : null,
    ].filter(Boolean);
    return parts.length ? make("div", { class: "small-figures" }, ...parts) : null;
  };
  const memory = (trial) => [
    trial.neighbours_picture === undefined ? null : wide(trial.neighbours_picture, "Samples, each beside the training images that are nearest to it",
      "First column: samples. To the right of each: the training images that are nearest to it, the nearest one first."),
    trial.neighbours ? neighbours(values(trial.neighbours.distance), values(trial.neighbours.samples), values(trial.neighbours.heldout)) : null,
  ];
  const command = (line) => {
    const button = make("button", { type: "button", class: "quiet" }, "Copy"), said = make("span", { role: "status", class: "soft" });
    const code = make("code", {}, line);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(line);
        said.textContent = "Copied.";
      } catch {
        getSelection().selectAllChildren(code);
        said.textContent = "Selected: copy it with the keyboard.";
      }
    });
    return make("div", {}, make("pre", { class: "command" }, code), make("p", {}, button, " ", said),
      make("p", { class: "caption" }, "To be typed in the folder that the results lie in. Where data lie elsewhere, add --data-root DIR."));
  };

  const missing = (kind) => [path(board()), title(`No such ${kind}`), make("p", {}, `This page tells of no ${kind} of that name.`), limits()];
  const own = document.title;
  const call = (...words) => (document.title = [...words, own].join(" · "));
  const titles = (entry, kind) => {
    const name = !entry ? [`No such ${kind}`] : [kind === "trial" ? `${entry.label}, seed ${entry.seed}` : entry.label, told.sections[entry.section].dataset];
    call(...name);
  };
  // To the anchor that was asked for, hidden until now, or to the link by which the reader left the board.
  let followed = null;
  const arrive = (kind) => {
    const anchor = kind === null ? document.getElementById(location.hash.slice(1)) : null;
    if (anchor) return anchor.scrollIntoView();
    const link = followed?.isConnected && followed.checkVisibility() ? followed : document.getElementById("main");
    link.focus();
  };
  let shown = "", away = false;
  const show = async () => {
    const kind = ganbench.state.get("view"), id = ganbench.state.get("id") ?? "", left = away;
    away = (kind ?? "board") !== "board";
    if (kind !== "variant" && kind !== "trial") {
      ganbench.film.stop();
      shown = "";
      call(...(kind === "quiz" && document.getElementById("quiz") ? ["Real or fake?"] : []));
      if (left && !away) arrive(kind);
      return;
    }
    const now = `${kind} ${id} ${ganbench.state.get("axis") ?? ""}`;
    if (now === shown) return;
    shown = now;
    const entry = await find(kind, id);
    const variant = kind === "trial" && entry ? await find("variant", entry.variant) : entry;
    if (shown !== now) return; // the reader has gone on meanwhile
    ganbench.film.stop();
    titles(entry, kind);
    const page = document.getElementById(kind);
    page.replaceChildren(...(!entry ? missing(kind) : kind === "variant" ? variantPage(entry) : trialPage(entry, id, variant)).filter(Boolean));
    scrollTo(0, 0);
    page.querySelector("h2").focus({ preventScroll: true });
  };
  ganbench.state.on(show);
  // A way into the page, or out of the quiz, keeps what was chosen on the board.
  document.addEventListener("click", (event) => {
    const way = event.target.closest?.(':is([data-view="board"], header, #quiz) a[href^="#view="]');
    if (!way || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (!way.closest("#quiz")) followed = way;
    ganbench.state.set(Object.fromEntries(new URLSearchParams(way.hash.slice(1))), true);
  });

  return { take, picture, address };
})();
