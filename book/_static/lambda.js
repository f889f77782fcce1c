// The lambda slider: reads the data beside it, draws with Plotly, and moves what the reader asks to move.
"use strict";

const CAMERA = { distance: 1.34, height: 0.3 };
const FACES = { image: "circle", text: "square" };

/** Unit vectors of (3, n) coordinates shifted by `step` times the gap: where the aligned points stand in the view. */
function placed(points, gap, step) {
  const [x, y, z] = points.map((axis, i) => axis.map((value) => value + step * gap[i]));
  const norm = x.map((_, j) => Math.max(Math.hypot(x[j], y[j], z[j]), 1e-12));
  return [x, y, z].map((axis) => axis.map((value, j) => value / norm[j]));
}

/** Coordinates of image points, text points and the line between both means at the k-th lambda. */
function positions(view, k) {
  const half = view.lambdas[k] / 2;
  const line = [0, 1, 2].map((i) => [view.mean_text[k][i], view.mean_image[k][i]]);
  return [placed(view.image, view.gap, -half), placed(view.text, view.gap, half), line];
}

/** Circles of latitude and longitude as one broken line. */
function wireframe() {
  const out = [[], [], []];
  const add = (point) => point.forEach((value, i) => out[i].push(value));
  const turn = (n) => Array.from({ length: n + 1 }, (_, i) => (2 * Math.PI * i) / n);
  for (let a = -75; a <= 75; a += 15) {
    const [h, r] = [Math.sin((a * Math.PI) / 180), Math.cos((a * Math.PI) / 180)];
    turn(72).forEach((t) => add([r * Math.cos(t), r * Math.sin(t), h]));
    add([null, null, null]);
  }
  for (let a = 0; a < 180; a += 15) {
    const [c, s] = [Math.cos((a * Math.PI) / 180), Math.sin((a * Math.PI) / 180)];
    turn(72).forEach((t) => add([c * Math.cos(t), s * Math.cos(t), Math.sin(t)]));
    add([null, null, null]);
  }
  return out;
}

/** The theme's own colours, which follow light and dark. */
function inks() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(`--pst-color-${name}`).trim();
  return { text: read("text-base"), muted: read("text-muted"), grid: read("border") };
}

const xyz = ([x, y, z]) => ({ x, y, z });

function sphereTraces(view, k, colours, ink) {
  const [image, text, line] = positions(view, k);
  const cloud = (name, points) => ({
    ...xyz(points), type: "scatter3d", mode: "markers", name, hoverinfo: "skip",
    marker: { size: 2.6, symbol: FACES[name], color: colours[name], opacity: 0.75, line: { width: 0 } },
  });
  const wire = {
    ...xyz(wireframe()), type: "scatter3d", mode: "lines", hoverinfo: "skip", showlegend: false, connectgaps: false,
    line: { color: ink.grid, width: 1.5 },
  };
  const gap = {
    ...xyz(line), type: "scatter3d", mode: "lines+markers", name: "means and gap", hoverinfo: "skip",
    line: { color: ink.text, width: 6 },
    marker: { size: 5, color: [colours.text, colours.image], line: { color: ink.text, width: 1 } },
  };
  return [wire, cloud("image", image), cloud("text", text), gap];
}

function eye(degrees) {
  const t = (degrees * Math.PI) / 180;
  return { x: CAMERA.distance * Math.cos(t), y: CAMERA.distance * Math.sin(t), z: CAMERA.height };
}

function sphereLayout(ink, degrees) {
  const axis = { visible: false, range: [-1.02, 1.02], showspikes: false };
  return {
    margin: { l: 0, r: 0, t: 0, b: 32 }, paper_bgcolor: "rgba(0,0,0,0)", font: { color: ink.text, size: 13 }, showlegend: true,
    legend: { orientation: "h", x: 0.5, xanchor: "center", y: 0, yanchor: "top", itemsizing: "constant", itemclick: false,
      itemdoubleclick: false },
    scene: { xaxis: axis, yaxis: axis, zaxis: axis, aspectmode: "cube", camera: { eye: eye(degrees), up: { x: 0, y: 0, z: 1 } } },
  };
}

function curveTraces(view, k, colours, ink) {
  const of = [
    ["residual", "gap", ink.text, "y2", "solid"],
    ["r_image", "R image", colours.image, "y", "solid"],
    ["r_text", "R text", colours.text, "y", "dash"],
  ];
  const common = { type: "scatter", hoverinfo: "skip", showlegend: false, cliponaxis: false };
  const lines = of.map(([key, name, color, yaxis, dash]) => ({
    ...common, x: view.lambdas, y: view[key], name, yaxis, mode: "lines", line: { color, width: 2.5, dash },
  }));
  const here = of.map(([key, name, color, yaxis]) => ({
    ...common, x: [view.lambdas[k]], y: [view[key][k]], name, yaxis, mode: "markers",
    marker: { size: 11, color, line: { color: ink.text, width: 1.5 } },
  }));
  return [...lines, ...here];
}

function curveLayout(view, ink) {
  const axis = { gridcolor: ink.grid, linecolor: ink.muted, zeroline: false, fixedrange: true, rangemode: "tozero" };
  const last = view.lambdas.length - 1;
  const label = (key, text, up) => ({
    x: view.lambdas[last], y: view[key][last], xref: "x", yref: "y", text, showarrow: false, font: { color: ink.text },
    xanchor: "right", yanchor: up ? "bottom" : "top", yshift: up ? 5 : -5,
  });
  const above = view.r_image[last] >= view.r_text[last];
  return {
    margin: { l: 52, r: 14, t: 10, b: 44 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: ink.text, size: 13 },
    xaxis: { ...axis, title: { text: "λ" }, anchor: "y", range: [Math.min(...view.lambdas), Math.max(...view.lambdas)] },
    yaxis: { ...axis, domain: [0, 0.45], title: { text: "R" }, range: [0, 1.05] },
    yaxis2: { ...axis, domain: [0.55, 1], title: { text: "gap" }, range: [0, 1.08 * Math.max(...view.residual)] },
    annotations: [label("r_image", "image", above), label("r_text", "text", !above)],
  };
}

function sentence(view, k) {
  const two = (value) => value.toFixed(2);
  const [gap, image, text] = ["residual", "r_image", "r_text"].map((key) => view[key][k].toFixed(3));
  const pairs = view.pairs.toLocaleString("en");
  return `At λ = ${two(view.lambdas[k])} the gap is ${gap}; R is ${image} for images and ${text} for texts, over ${pairs} pairs.`;
}

function start(root) {
  const { views, colours } = JSON.parse(root.querySelector(".lambda-data").textContent);
  const find = (name) => root.querySelector(`.lambda-${name}`);
  const [body, set, range, text, sphere, lines] = ["body", "set", "slider", "text", "sphere", "lines"].map(find);
  const config = { displayModeBar: false, scrollZoom: false, responsive: true };
  let degrees = 0;
  const view = () => views[Number(set.value)];
  const k = () => Number(range.value);

  function say() {
    text.textContent = sentence(view(), k());
    find("share").textContent = `The view shows ${Math.round(100 * view().share)} % of the squared length of these vectors.`;
    range.setAttribute("aria-valuetext", view().lambdas[k()].toFixed(2));
  }
  function draw() {
    const ink = inks();
    Plotly.react(sphere, sphereTraces(view(), k(), colours, ink), sphereLayout(ink, degrees), config);
    Plotly.react(lines, curveTraces(view(), k(), colours, ink), curveLayout(view(), ink), { ...config, staticPlot: true });
    say();
  }
  function move() {
    const moved = positions(view(), k());
    Plotly.restyle(sphere, { x: moved.map((p) => p[0]), y: moved.map((p) => p[1]), z: moved.map((p) => p[2]) }, [1, 2, 3]);
    const heights = ["residual", "r_image", "r_text"].map((key) => [view()[key][k()]]);
    Plotly.restyle(lines, { x: heights.map(() => [view().lambdas[k()]]), y: heights }, [3, 4, 5]);
    say();
  }
  function turn(by) {
    degrees = by === 0 ? 0 : degrees + by;
    Plotly.relayout(sphere, { "scene.camera.eye": eye(degrees) });
  }

  find("fallback").hidden = true;
  body.hidden = false;
  draw();
  range.addEventListener("input", move);
  set.addEventListener("change", draw);
  for (const button of root.querySelectorAll("[data-turn]")) {
    button.addEventListener("click", () => turn(Number(button.dataset.turn)));
  }
  new MutationObserver(draw).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
}

if (window.Plotly) document.querySelectorAll(".lambda-view").forEach(start);
