"use strict";

const MOST = 100;
const AT_ONCE = 4;
const progress = document.getElementById("progress");
const answers = document.getElementById("answers");
const drop = document.getElementById("drop");
const input = document.getElementById("photos");

input.addEventListener("change", () => { send([...input.files]); input.value = ""; });
for (const name of ["dragover", "drop"]) {
  document.addEventListener(name, event => {
    event.preventDefault();
    drop.classList.toggle("over", name === "dragover");
    if (name === "drop") send([...event.dataTransfer.files]);
  });
}
document.addEventListener("dragleave", () => drop.classList.remove("over"));

async function send(files) {
  const taken = files.slice(0, MOST);
  let done = 0;
  const next = async () => {
    for (let file = taken.shift(); file; file = taken.shift()) {
      await ask(file);
      done += 1;
      progress.textContent = `${done} of ${Math.min(files.length, MOST)} done` +
        (files.length > MOST ? `; the other ${files.length - MOST} were left out` : "");
    }
  };
  await Promise.all(Array.from({length: AT_ONCE}, next));
}

async function ask(file) {
  const item = document.createElement("li");
  answers.prepend(item);
  add(item, "span", file.name, "soft");
  try {
    const response = await fetch("predict?heatmap=true", {method: "POST", body: file});
    const answer = await response.json();
    if (!response.ok) return void add(item, "p", String(answer.detail), "worse");
    const picture = document.createElement("img");
    picture.src = answer.heatmap;
    picture.alt = `${file.name}; at the right, the Grad-CAM heatmap for ${answer.predicted}`;
    item.prepend(picture);
    add(item, "b", answer.predicted);
    for (const [name, value] of Object.entries(answer.probabilities)) {
      add(item, "label", `${name} ${(100 * value).toFixed(1)}%`).append(meter(name, value));
    }
  } catch {
    add(item, "p", "no answer: is the server still running?", "worse");
  }
}

function meter(name, value) {
  const bar = document.createElement("progress");
  bar.max = 1;
  bar.value = value;
  bar.setAttribute("aria-label", name);
  return bar;
}

function add(parent, tag, text, kind) {
  const element = document.createElement(tag);
  element.textContent = text;
  if (kind) element.className = kind;
  parent.append(element);
  return element;
}
