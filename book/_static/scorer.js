// Rank a page first whose own title has a searched word; the numbers below are those of Sphinx. The theme loads the file that Sphinx makes of its
// setting html_search_scorer too late, so this one is loaded on every page.
var Scorer = {
  score: ([, title, , , score]) => {
    if (title.includes(" > ") || title.startsWith("helpers.")) return score; // a section, an object
    const words = (new URLSearchParams(window.location.search).get("q") || "").toLowerCase().split(/\s+/).filter(Boolean);
    const named = words.filter((word) => title.toLowerCase().includes(word));
    return score + (200 * named.join("").length) / title.length;
  },
  objNameMatch: 11, objPartialMatch: 6, objPrio: { 0: 15, 1: 5, 2: -5 }, objPrioDefault: 0,
  title: 15, partialTitle: 7, term: 5, partialTerm: 2,
};
