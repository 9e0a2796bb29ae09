// The same latents through training: a large picture, a slider over the evaluation points, and a strip of all pictures.
ganbench.film = (() => {
  const { make, picture } = ganbench.figures;
  const PAUSE = 600;
  let timer = null;

  const stop = () => {
    clearInterval(timer);
    timer = null;
  };

  // `frames` is a list of { source, told }, the oldest first, all of one size.
  const show = (frames, size) => {
    stop();
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const large = picture(frames[0].source, size, "", { class: "large", decoding: "sync", loading: "eager" });
    const told = make("output", { for: "film-slider" });
    const slider = make("input", { type: "range", id: "film-slider", min: 0, max: frames.length - 1, step: 1, "aria-label": "Evaluation point" });
    const play = make("button", { type: "button", class: "quiet" }, "Play");
    const thumbs = frames.map((frame, place) => {
      const button = make("button", { type: "button", "aria-label": `Show ${frame.told}` }, picture(frame.source, size, ""));
      button.addEventListener("click", () => pause(place));
      return button;
    });
    const turn = (place) => {
      slider.value = place;
      large.src = frames[place].source;
      large.alt = `Grid of samples, ${frames[place].told}`;
      told.textContent = frames[place].told;
      slider.setAttribute("aria-valuetext", frames[place].told);
      thumbs.forEach((thumb, i) => (i === place ? thumb.setAttribute("aria-current", "true") : thumb.removeAttribute("aria-current")));
    };
    const pause = (place) => {
      stop();
      play.textContent = "Play";
      turn(place);
    };
    const next = () => {
      const place = Number(slider.value) + 1;
      turn(place);
      if (place >= frames.length - 1) pause(place);
    };
    slider.addEventListener("input", () => pause(Number(slider.value)));
    play.addEventListener("click", () => {
      if (timer) return pause(Number(slider.value));
      if (Number(slider.value) >= frames.length - 1) turn(0);
      play.textContent = "Pause";
      timer = setInterval(next, PAUSE);
    });
    turn(frames.length - 1);
    const controls = frames.length < 2 ? [told] : [still ? null : play, slider, told];
    return make("figure", { class: "film" }, large, make("div", { class: "film-controls" }, ...controls),
      frames.length < 2 ? null : make("ol", { class: "film-strip", "aria-label": "Evaluation points" }, ...thumbs.map((thumb) => make("li", {}, thumb))));
  };

  return { show, stop };
})();
