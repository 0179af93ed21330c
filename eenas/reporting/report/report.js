// The report's page: draws every figure and connects the policy explorer's slider to the policy's limit.
"use strict";

const PAPER_WIDTH = 1160; // pixels, as in report.css

function draw() {
  for (const place of document.querySelectorAll(".plot")) {
    const figure = JSON.parse(place.nextElementSibling.textContent);
    Plotly.newPlot(place, figure.data, figure.layout, { responsive: true, displaylogo: false });
  }
}

function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

// Apply the policy with limit number `step` to the exit table: a sample leaves at the first exit whose code is above
// the step, or at the final exit.
function explore(table, step) {
  const exits = table.exits.length;
  const leaving = new Array(exits).fill(0);
  let right = 0;
  for (let sample = 0; sample < table.samples; sample++) {
    let exit = 0;
    while (exit < exits - 1 && table.codeBytes[sample * (exits - 1) + exit] <= step) exit++;
    leaving[exit]++;
    const bit = sample * exits + exit;
    right += (table.correctBytes[bit >> 3] >> (7 - (bit & 7))) & 1;
  }
  const shares = leaving.map((count) => count / table.samples);
  const mean = (costs) => costs.reduce((sum, cost, exit) => sum + cost * shares[exit], 0);
  return {
    accuracy: right / table.samples,
    costs: table.costs.map((cost) => mean(cost.values)),
    shares,
  };
}

function show(table, step, plot) {
  const found = explore(table, step);
  const words = [
    table.labels[step],
    (100 * found.accuracy).toFixed(2) + " % accuracy",
    ...found.costs.map((share, index) => {
      const cost = table.costs[index];
      return cost.isMacs ? (100 * share).toFixed(1) + " % of the MACs" : share.toFixed(2) + " × the " + cost.word;
    }),
  ];
  document.getElementById("explored").textContent = words.join(" · ");
  const percents = found.shares.map((share) => 100 * share);
  const here = plot.data.findIndex((trace) => trace.name === "here");
  const bars = plot.data.findIndex((trace) => trace.name === "leaving");
  Plotly.restyle(plot, { x: [[100 * found.costs[0]]], y: [[100 * found.accuracy]] }, [here]);
  Plotly.restyle(plot, { x: [percents], text: [percents.map((share) => share.toFixed(1) + " %")] }, [bars]);
}

// Return the step of the largest threshold that is at most the one in the page's address, such as "#threshold=0.9".
function stepOfAddress(table) {
  const match = /^#threshold=([0-9.]+)$/.exec(location.hash);
  if (match === null) return null;
  const wanted = Number(match[1]);
  let step = 0;
  table.thresholds.forEach((value, index) => {
    if (value !== null && value <= wanted) step = index;
  });
  return step;
}

function startExplorer() {
  const data = document.getElementById("explorer-data");
  if (data === null) return;
  const table = JSON.parse(data.textContent);
  table.codeBytes = bytes(table.codes);
  table.correctBytes = bytes(table.correct);
  const slider = document.getElementById("threshold");
  const plot = data.closest("section").querySelector(".plot");
  slider.addEventListener("input", () => show(table, Number(slider.value), plot));
  const follow = () => {
    const step = stepOfAddress(table);
    if (step !== null) slider.value = step;
    show(table, Number(slider.value), plot);
  };
  window.addEventListener("hashchange", follow);
  follow();
}

// Figures have the width of the window when they were drawn; for printing they get the page width of report.css.
function fitToPaper(isPaper) {
  for (const plot of document.querySelectorAll(".plot")) {
    Plotly.relayout(plot, isPaper ? { autosize: false, width: PAPER_WIDTH } : { autosize: true, width: null });
  }
}

draw();
startExplorer();
window.addEventListener("beforeprint", () => fitToPaper(true));
window.addEventListener("afterprint", () => fitToPaper(false));
