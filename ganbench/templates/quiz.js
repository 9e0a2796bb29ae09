// "Real or fake?": real images and samples of the variants, one at a time, and how often the reader tells which.

// Wilson's interval for a share of `right` in `n` (J. Am. Stat. Assoc. 22, 1927).
ganbench.wilson = (right, n) => {
  if (!n) return [0, 1];
  const z = 1.959963984540054, share = right / n, middle = share + (z * z) / (2 * n);
  const reach = z * Math.sqrt((share * (1 - share)) / n + (z * z) / (4 * n * n)), whole = 1 + (z * z) / n;
  return [right ? (middle - reach) / whole : 0, right < n ? (middle + reach) / whole : 1];
};

ganbench.quiz = (() => {
  const holder = document.getElementById("quizzes");
  if (!holder) return null;
  const { make } = ganbench.figures, quizzes = JSON.parse(holder.textContent);
  const view = document.getElementById("quiz"), part = (selector) => view.querySelector(selector);
  const choice = part("form"), round = part(".quiz-round"), canvas = part("canvas"), verdict = part(".quiz-verdict");
  const SIDE = 256, USUAL_VARIANTS = 3;
  let deck = [], at = 0, counts = new Map();

  const seeded = (seed) => () => { // mulberry32, by Tommy Ettinger (public domain)
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const shuffled = (items, random) => {
    const mixed = [...items];
    for (let i = mixed.length - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      [mixed[i], mixed[j]] = [mixed[j], mixed[i]];
    }
    return mixed;
  };
  const cells = ([place, count]) => Array.from({ length: count }, (_, cell) => ({ place, cell }));

  // As many real images as samples for each variant; no picture comes twice while there are others.
  const deal = (quiz, variants, count, random) => {
    const dealt = [], real = [];
    for (const variant of variants) {
      const fakes = shuffled(variant.grids.flatMap(cells), random).slice(0, count / 2);
      for (const fake of fakes) {
        if (!real.length) real.push(...shuffled(cells(quiz.real), random));
        dealt.push({ ...fake, real: false, variant: variant.id }, { ...real.pop(), real: true, variant: variant.id });
      }
    }
    return shuffled(dealt, random);
  };

  const current = () => quizzes[Number(choice.elements.quiz.value)] ?? quizzes[0];
  const chosen = () => {
    const ids = [...choice.querySelectorAll("input:checked")].map((box) => box.value);
    return current().variants.filter((variant) => ids.includes(variant.id));
  };
  const picture = (question) => new Promise((resolve, reject) => {
    const image = new Image();
    image.addEventListener("load", () => resolve(image));
    image.addEventListener("error", reject);
    image.src = ganbench.details.picture(question.place);
  });
  const show = async () => {
    const question = deck[at], [width, height] = current().size, scale = Math.max(1, Math.floor(SIDE / Math.max(width, height)));
    part(".quiz-place").textContent = `Picture ${at + 1} of ${deck.length}`;
    canvas.setAttribute("aria-label", `Picture ${at + 1} of ${deck.length}, enlarged`);
    const image = await picture(question);
    if (deck[at] !== question) return;
    [canvas.width, canvas.height] = [width * scale, height * scale];
    const pen = canvas.getContext("2d"), column = question.cell % 8, row = Math.floor(question.cell / 8);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(image, column * (width + 1), row * (height + 1), width, height, 0, 0, canvas.width, canvas.height);
  };
  // Whether a classifier was asked as well.
  const judged = () => current().variants.some((variant) => variant.machine.some(([, value]) => value !== "–"));
  const results = () => {
    const rows = current().variants.filter((variant) => counts.has(variant.id)).map((variant) => {
      const { right, n } = counts.get(variant.id), [low, high] = ganbench.wilson(right, n), percent = (x) => `${Math.round(100 * x)} %`;
      const machine = variant.machine.map(([name, value]) => `${name} ${value}`).join(", ") || "–";
      return make("tr", {}, make("th", { scope: "row" }, make("bdi", {}, variant.label)), make("td", { class: "number" }, `${right}/${n}`),
        make("td", { class: "number" }, n ? percent(right / n) : "–"), make("td", { class: "number" }, n ? `${percent(low)} – ${percent(high)}` : "–"),
        judged() ? make("td", {}, make("bdi", {}, machine)) : null);
    });
    part("tbody").replaceChildren(...rows);
    view.querySelectorAll(".quiz-machine").forEach((element) => (element.hidden = !judged()));
    part(".quiz-results").hidden = !rows.length;
  };
  const judge = (right, truth) => {
    const next = at < deck.length ? `Picture ${at + 1} of ${deck.length}.` : "That was the last one.";
    verdict.replaceChildren(make("b", {}, make("span", { "aria-hidden": "true" }, right ? "✓ " : "✗ "), right ? "Right" : "Wrong"), `: picture ${at} was ${truth}. `,
      make("span", { class: at < deck.length ? "hidden" : null }, next));
    verdict.dataset.right = right;
  };
  const enable = (on) => view.querySelectorAll("[data-answer]").forEach((button) => (button.disabled = !on));

  const start = (seed) => {
    const variants = chosen();
    if (!variants.length) {
      verdict.textContent = "";
      return choice.querySelector("input")?.focus();
    }
    ganbench.state.set({ seed: String(seed) });
    deck = deal(current(), variants, Number(choice.elements.count.value), seeded(seed));
    at = 0;
    counts = new Map(variants.map((variant) => [variant.id, { right: 0, n: 0 }]));
    verdict.textContent = "";
    round.hidden = false;
    enable(true);
    results();
    show();
    part("[data-answer]").focus({ preventScroll: true });
    round.scrollIntoView({ block: "nearest" });
  };
  const answer = (real) => {
    if (at >= deck.length) return;
    const question = deck[at], tally = counts.get(question.variant), right = question.real === real;
    tally.n += 1;
    tally.right += right;
    at += 1;
    const label = current().variants.find((variant) => variant.id === question.variant).label;
    judge(right, question.real ? "a real image" : `a sample of ${label}`);
    results();
    if (at < deck.length) return void show();
    enable(false);
    part(".quiz-results h3").focus();
  };
  const offer = () => {
    const boxes = current().variants.map((variant, i) =>
      make("label", {}, make("input", { type: "checkbox", value: variant.id, checked: i < USUAL_VARIANTS }), " ", make("bdi", {}, variant.label)));
    part(".quiz-variants").replaceChildren(...boxes);
    deck = [];
    counts = new Map();
    round.hidden = true;
    results();
  };

  quizzes.forEach((quiz, i) => choice.elements.quiz.append(make("option", { value: i }, `${quiz.dataset} · ${quiz.budget}`)));
  choice.elements.quiz.addEventListener("change", offer);
  choice.addEventListener("submit", (event) => {
    event.preventDefault();
    const given = ganbench.state.get("seed"), fresh = deck.length || !/^\d{1,10}$/.test(given ?? "");
    start(fresh ? crypto.getRandomValues(new Uint32Array(1))[0] : Number(given));
  });
  view.querySelectorAll("[data-answer]").forEach((button) => button.addEventListener("click", () => answer(button.dataset.answer === "real")));
  addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, select, textarea"), key = event.key.toLowerCase();
    if (ganbench.state.get("view") !== "quiz" || round.hidden || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (key === "r" || key === "f") answer(key === "r");
  });
  let open = false;
  ganbench.state.on((state) => {
    const now = state.get("view") === "quiz";
    if (now && !open) part("h2").focus({ preventScroll: true });
    open = now;
  });
  offer();
  return { deck: () => deck };
})();
