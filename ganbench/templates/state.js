// What the reader sees, kept in the URL's fragment as `#view=trial&id=…`, so that a link brings others to the same.
// A fragment without "=" is an ordinary anchor of the board's.
const ganbench = (window.ganbench = {});
ganbench.state = (() => {
  const listeners = [];
  const read = () => new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
  const show = () => {
    const parts = [...document.querySelectorAll("[data-view]")];
    const asked = read().get("view");
    const view = parts.some((part) => part.dataset.view === asked) ? asked : "board";
    for (const part of parts) part.hidden = part.dataset.view !== view;
  };
  const tell = () => {
    show();
    for (const listener of listeners) listener(read());
  };
  addEventListener("hashchange", tell);
  addEventListener("DOMContentLoaded", tell);
  return {
    get: (key) => read().get(key),
    // Changes keys, null removes one. With `push` the browser's back button returns to what was there before.
    set(changes, push = false) {
      const next = read();
      for (const [key, value] of Object.entries(changes)) value === null ? next.delete(key) : next.set(key, value);
      const fragment = `#${next}`;
      if (fragment === location.hash) return;
      push ? history.pushState(null, "", fragment) : history.replaceState(null, "", fragment);
      tell();
    },
    // Calls `listener` with the URLSearchParams whenever they change, and once all has loaded.
    on: (listener) => listeners.push(listener),
  };
})();
