// Not a module: it runs before the first paint, or a dark page would flash white.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  try {
    chosen = localStorage.getItem("theme");
  } catch {
    // Storage can be switched off; then the choice lasts as long as the page.
  }
  const apply = () => {
    const theme = chosen === "light" || chosen === "dark" ? chosen : dark.matches ? "dark" : "light";
    document.documentElement.dataset.theme = theme;
    document.dispatchEvent(new CustomEvent("theme"));
  };
  dark.addEventListener("change", apply);
  window.demandTheme = {
    chosen: () => (chosen === "light" || chosen === "dark" ? chosen : "auto"),
    choose(theme) {
      chosen = theme;
      try {
        localStorage.setItem("theme", theme);
      } catch {
        // As above.
      }
      apply();
    },
  };
  apply();
})();
