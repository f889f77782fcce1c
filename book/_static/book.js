// One switch in the header shows all folded code of the book and remembers it; without scripts each cell keeps its own bar.
(() => {
  const root = document.documentElement;
  const remembered = () => { try { return localStorage.getItem("show-code") === "yes"; } catch { return false; } };
  const remember = (shown) => { try { localStorage.setItem("show-code", shown ? "yes" : "no"); } catch { /* a page without storage */ } };
  root.classList.toggle("code-hidden", !remembered());
  document.addEventListener("DOMContentLoaded", () => {
    const folds = document.querySelectorAll(".bd-article details.above-input");
    const bar = document.querySelector(".article-header-buttons");
    if (!folds.length || !bar) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "btn btn-sm code-switch";
    const show = (shown) => {
      root.classList.toggle("code-hidden", !shown);
      folds.forEach((fold) => { fold.open = shown; });
      button.textContent = shown ? "Hide code" : "Show code";
      button.setAttribute("aria-pressed", String(shown));
    };
    button.addEventListener("click", () => {
      const shown = root.classList.contains("code-hidden");
      remember(shown);
      show(shown);
    });
    bar.prepend(button);
    show(remembered());
    const reveal = (hash) => { // the code of one figure, as the link below it asks
      const fold = hash.startsWith("#source-") && document.getElementById(hash.slice(1))?.querySelector("details.above-input");
      if (fold) fold.open = true;
    };
    document.querySelectorAll("a.source").forEach((link) => { link.addEventListener("click", () => reveal(link.hash)); });
    reveal(location.hash);
  });
})();
