"use strict";

const AT_ONCE = 4;
const TRIES = 60;
const HIDDEN = /(?![\ufe00-\ufe0f])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;
const progress = document.getElementById("progress");
const answers = document.getElementById("answers");
const drop = document.getElementById("drop");
const input = document.getElementById("photos");
const most = Number(input.dataset.most);
const largest = Number(input.dataset.size);
const waiting = [];
let asking = 0, done = 0, taken = 0, left = 0;

input.addEventListener("change", () => { send([...input.files]); input.value = ""; });
for (const name of ["dragover", "drop"]) {
  document.addEventListener(name, event => {
    event.preventDefault();
    drop.classList.toggle("over", name === "dragover");
    if (name === "drop") send([...event.dataTransfer.files]);
  });
}
document.addEventListener("dragleave", () => drop.classList.remove("over"));

function send(files) {
  const room = Math.max(0, most - waiting.length);
  waiting.push(...files.slice(0, room));
  taken += Math.min(files.length, room);
  left += Math.max(0, files.length - room);
  tell();
  while (asking < AT_ONCE && waiting.length) work();
}

async function work() {
  asking += 1;
  while (waiting.length) {
    await ask(waiting.shift());
    done += 1;
    tell();
  }
  asking -= 1;
}

function tell() {
  const counted = `${done} of ${taken} done`;
  progress.textContent = counted + (left ? `; ${left} more than ${most} at a time were left out` : "");
}

async function ask(file) {
  const item = document.createElement("li");
  answers.prepend(item);
  add(item, "span", visible(file.name), "soft");
  const problem = await refusal(file);
  if (problem) return void add(item, "p", problem, "worse");
  try {
    const response = await post(file);
    const answer = await response.json();
    if (!response.ok) return void add(item, "p", visible(String(answer.detail)), "worse");
    show(item, file, answer);
  } catch {
    add(item, "p", "no answer: is the server still running?", "worse");
  }
}

async function refusal(file) {
  if (file.size > largest) return `more than ${largest / 1e6} MB: send a smaller photo`;
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    return "cannot be read; if it is a folder, drop the photos in it";
  }
  return "";
}

async function post(file) {
  for (let tried = 1; ; tried += 1) {
    const response = await fetch("predict?heatmap=true&nearest=true", {method: "POST", body: file});
    if (response.status !== 503 || tried === TRIES) return response;
    await new Promise(go => setTimeout(go, 1000));
  }
}

function show(item, file, answer) {
  item.prepend(picture(answer.heatmap, `${visible(file.name)}; at the right, the Grad-CAM heatmap for ${visible(answer.predicted)}`));
  add(item, "b", visible(answer.predicted));
  for (const [name, value] of Object.entries(answer.probabilities)) {
    const named = visible(name);
    add(item, "label", `${named} ${(100 * value).toFixed(1)}%`).append(meter(named, value));
  }
  if (!answer.nearest.length) return;
  const list = add(item, "ul", "", "nearest");
  list.setAttribute("aria-label", "the nearest training photos");
  for (const photo of answer.nearest) {
    const near = add(list, "li", "");
    near.append(picture(photo.picture, `training photo ${visible(photo.file)}`));
    add(near, "span", visible(photo.class));
    add(near, "span", photo.similarity.toFixed(2));
    near.title = visible(photo.file);
  }
}

function visible(text) {
  return text.replace(HIDDEN, letter => `\\u${letter.codePointAt(0).toString(16).padStart(4, "0")}`);
}

function picture(source, words) {
  const image = document.createElement("img");
  image.src = source;
  image.alt = words;
  return image;
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
