// Draws the plots, over the axis and with the variant that the reader chose; both are kept in the URL's fragment.
(() => {
  const { state } = window.ganbench;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const options = { actions: false, ast: true, renderer: "svg", tooltip: { theme: dark ? "dark" : "light" } };
  const sections = [...document.querySelectorAll(".drawings")].map((part) => ({
    part,
    name: part.dataset.section,
    variants: [...part.querySelectorAll("[data-place]")],
    axes: [...part.querySelectorAll("[data-axis]")],
    chosen: { isolated: -1, axis: "" },
  }));
  const plots = sections.flatMap((section) =>
    [...section.part.querySelectorAll("figure.plot")].map((figure) => {
      const told = JSON.parse(figure.querySelector("script").textContent);
      return { ...told, section, canvas: figure.querySelector(".canvas"), view: null, drawn: false };
    }),
  );

  // The variant of a section that stands alone, by its place; -1 where all do.
  function isolatedIn(section) {
    const [, name, place] = /^(\w+)-(\d+)$/.exec(state.get("isolate") || "") || [];
    const known = section.variants.some((button) => button.dataset.place === place);
    return name === section.name && known ? Number(place) : -1;
  }

  function toggle(section, place) {
    state.set({ isolate: isolatedIn(section) === place ? null : `${section.name}-${place}` });
  }

  function choose(section) {
    const known = section.axes.map((button) => button.dataset.axis);
    const axis = known.includes(state.get("axis")) ? state.get("axis") : "";
    section.chosen = { isolated: isolatedIn(section), axis };
    for (const button of section.axes) button.setAttribute("aria-pressed", button.dataset.axis === axis);
    for (const button of section.variants) {
      button.setAttribute("aria-pressed", Number(button.dataset.place) === section.chosen.isolated);
    }
  }

  function apply({ view, axes, section }) {
    if (!view || !axes.length) return;
    const { isolated, axis } = section.chosen;
    view.signal("isolated", isolated).signal("axis", axes.includes(axis) ? axis : axes[0]).runAsync();
  }

  // What is drawn is hidden from those who listen: the canvas around it has the words for them.
  async function draw(plot) {
    plot.drawn = true;
    const inside = document.createElement("div");
    inside.setAttribute("aria-hidden", "true");
    plot.canvas.append(inside);
    try {
      plot.view = (await vegaEmbed(inside, plot.specification, options)).view;
      if (!plot.axes.length) return;
      plot.view.addEventListener("click", (event, item) => {
        const place = item?.datum?.place;
        if (Number.isInteger(place)) toggle(plot.section, place);
        else if (plot.section.chosen.isolated >= 0) state.set({ isolate: null });
      });
      apply(plot);
    } catch (error) {
      plot.canvas.textContent = `This plot cannot be drawn: ${error.message}`;
    }
  }

  // What lies nearest to the reader comes first, and what is not shown now waits until it is.
  let drawing = false;
  async function drawAll() {
    if (drawing) return;
    drawing = true;
    const distance = (plot) => Math.abs(plot.canvas.getBoundingClientRect().top - innerHeight / 2);
    for (;;) {
      const waiting = plots.filter((plot) => !plot.drawn && plot.canvas.offsetWidth > 0);
      if (!waiting.length) break;
      await draw(waiting.reduce((best, plot) => (distance(plot) < distance(best) ? plot : best)));
      await new Promise((resume) => setTimeout(resume));
    }
    drawing = false;
  }

  for (const section of sections) {
    for (const button of section.variants) {
      button.addEventListener("click", () => toggle(section, Number(button.dataset.place)));
    }
    for (const button of section.axes) {
      button.addEventListener("click", () => state.set({ axis: button.dataset.axis || null }));
    }
  }
  const follow = () => {
    sections.forEach(choose);
    plots.forEach(apply);
    drawAll();
  };
  state.on(follow);
  follow();
})();
