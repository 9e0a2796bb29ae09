const dark = matchMedia("(prefers-color-scheme: dark)").matches;
for (const figure of document.querySelectorAll("figure.plot")) {
  const specification = JSON.parse(figure.querySelector("script").textContent);
  const options = { actions: false, ast: true, renderer: "svg", tooltip: { theme: dark ? "dark" : "light" } };
  vegaEmbed(figure.querySelector(".canvas"), specification, options).catch((error) => {
    figure.querySelector(".canvas").textContent = `This plot cannot be drawn: ${error.message}`;
  });
}
